// S ← S Diag(e^g) + k vᵀ token by token: the definition itself, and the cheapest form for single tokens.
import { add, concat, exp, matMul, mul, reshape, zeros, type Tensor } from '@mnemix/tensor';
import { chunkLayout } from '../portable/chunk-layout.ts';
import type { ScanAttrs } from '../portable/scan-options.ts';
import { perChunk } from '../portable/state-scan.ts';
import type { ValueDecayInputs, ValueDecayOutputs } from './op.ts';

export function valueDecayRecurrent(inputs: ValueDecayInputs, attrs: ScanAttrs): ValueDecayOutputs {
  const [, heads, dk] = inputs.q.shape as [number, number, number];
  const dv = inputs.v.shape[2] as number;
  const layout = chunkLayout({ ...inputs, ...attrs }, heads, 1);
  const { lanes } = layout;
  /** [S·H, 1, d] for each token; zeros behind a sequence's end, which leave its state as it is. */
  const tokens = (x: Tensor) => perChunk(layout.split(x), lanes);

  const [q, k, v] = [tokens(mul(inputs.q, attrs.scale)), tokens(inputs.k), tokens(inputs.v)];
  const logDecay = tokens(inputs.logDecay);
  let state = inputs.initialState ? reshape(inputs.initialState, [lanes, dk, dv]) : zeros([lanes, dk, dv]);
  const outputs = q.map((query, t) => {
    const write = mul(reshape(k[t] as Tensor, [lanes, dk, 1]), v[t] as Tensor);
    state = add(mul(state, exp(logDecay[t] as Tensor)), write);
    return matMul(query, state);
  });
  return { o: layout.join(concat(outputs, 0)), state: reshape(state, [attrs.count, heads, dk, dv]) };
}
