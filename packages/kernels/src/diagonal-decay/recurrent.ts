// S ← Diag(e^g) S + k vᵀ token by token: the definition itself, and the cheapest form for single tokens.
import { add, concat, exp, matMul, mul, reshape, tile, zeros, type Tensor } from '@mnemix/tensor';
import { chunkLayout } from '../portable/chunk-layout.ts';
import { perChunk } from '../portable/state-scan.ts';
import type { ScanAttrs } from '../portable/scan-options.ts';
import type { DiagonalDecayInputs, DiagonalDecayOutputs } from './op.ts';

export function diagonalDecayRecurrent(inputs: DiagonalDecayInputs, attrs: ScanAttrs): DiagonalDecayOutputs {
  const [, heads, dk] = inputs.q.shape as [number, number, number];
  const dv = inputs.v.shape[2] as number;
  const layout = chunkLayout({ ...inputs, ...attrs }, heads, 1);
  const { lanes } = layout;
  /** [S·H, 1, d] for each token; zeros behind a sequence's end, which leave its state as it is. */
  const tokens = (x: Tensor) => perChunk(layout.split(x), lanes);
  const column = (x: Tensor) => reshape(x, [lanes, x.shape[2] as number, 1]);

  const [q, k, v] = [tokens(mul(inputs.q, attrs.scale)), tokens(inputs.k), tokens(inputs.v)];
  const logDecay = inputs.logDecay && tokens(inputs.logDecay);
  const bonus = inputs.bonus && reshape(tile(inputs.bonus, [attrs.count, 1]), [lanes, dk, 1]);
  let state = inputs.initialState ? reshape(inputs.initialState, [lanes, dk, dv]) : zeros([lanes, dk, dv]);
  const outputs = q.map((query, t) => {
    const write = mul(column(k[t] as Tensor), v[t] as Tensor);
    const before = state;
    state = add(logDecay ? mul(state, exp(column(logDecay[t] as Tensor))) : state, write);
    return matMul(query, bonus ? add(before, mul(bonus, write)) : state);
  });
  return { o: layout.join(concat(outputs, 0)), state: reshape(state, [attrs.count, heads, dk, dv]) };
}
