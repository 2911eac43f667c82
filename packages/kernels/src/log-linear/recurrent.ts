// Log-linear attention token by token: the decode rule itself, and the cheapest form for single tokens.
import { add, concat, matMul, minimum, mul, pad, reshape, zeros, type Tensor } from '@mnemix/tensor';
import { chunkLayout } from '../portable/chunk-layout.ts';
import type { ScanAttrs } from '../portable/scan-options.ts';
import { levelView, mergeLevels } from './levels.ts';
import { eachOf, placesOf, type LogLinearInputs, type LogLinearOutputs } from './places.ts';
import { stepToken } from './rules.ts';

export function logLinearRecurrent(inputs: LogLinearInputs, attrs: ScanAttrs): LogLinearOutputs {
  const [, heads, dk] = inputs.q.shape as [number, number, number];
  const [dv, levels] = [inputs.v.shape[2] as number, inputs.levelScales.shape[2] as number];
  const layout = chunkLayout({ ...inputs, ...attrs }, heads, 1);
  const { lanes } = layout;
  const { first, last } = placesOf(inputs, heads);
  const tokens = (x: Tensor) => eachOf(layout.split(x), lanes);
  const [q, k, v] = [tokens(mul(inputs.q, attrs.scale)), tokens(inputs.k), tokens(inputs.v)];
  const [logDecay, scales] = [tokens(inputs.logDecay), tokens(inputs.levelScales)];
  const beta = inputs.beta && tokens(inputs.beta);

  let memory = inputs.memory
    ? reshape(inputs.memory, [lanes, levels, dk * dv])
    : zeros([lanes, levels, dk * dv]);
  const outputs = q.map((query, t) => {
    // Behind its last token a sequence stands still.
    const at = (step: number) => minimum(add(first, step), last);
    memory = mergeLevels(memory, levelView(at(t - 1), at(t), levels));
    const stepped = stepToken(reshape(memory, [lanes, levels, dk, dv]), {
      k: k[t] as Tensor,
      v: v[t] as Tensor,
      logDecay: logDecay[t] as Tensor,
      beta: beta?.[t],
    });
    const write = reshape(stepped.write, [lanes, 1, dk * dv]);
    memory = add(
      reshape(stepped.memory, [lanes, levels, dk * dv]),
      pad(write, [
        [0, 0],
        [0, levels - 1],
        [0, 0],
      ]),
    );
    const seen = matMul(scales[t] as Tensor, memory);
    return matMul(query, reshape(seen, [lanes, dk, dv]));
  });
  return {
    o: layout.join(concat(outputs, 0)),
    memory: reshape(memory, [attrs.count, heads, levels, dk, dv]),
  };
}
