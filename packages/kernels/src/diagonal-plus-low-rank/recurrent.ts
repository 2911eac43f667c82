// Diagonal plus low rank token by token: the definition itself, and the cheapest form for single tokens.
import { add, concat, exp, matMul, mul, reshape, zeros, type Tensor } from '@mnemix/tensor';
import { chunkLayout } from '../portable/chunk-layout.ts';
import type { ScanAttrs } from '../portable/scan-options.ts';
import { perChunk } from '../portable/state-scan.ts';
import type { DiagonalPlusLowRankInputs, DiagonalPlusLowRankOutputs } from './op.ts';

export function diagonalPlusLowRankRecurrent(
  inputs: DiagonalPlusLowRankInputs,
  attrs: ScanAttrs,
): DiagonalPlusLowRankOutputs {
  const [, heads, dk] = inputs.q.shape as [number, number, number];
  const dv = inputs.v.shape[2] as number;
  const layout = chunkLayout({ ...inputs, ...attrs }, heads, 1);
  const { lanes } = layout;
  /** [S·H, 1, d] for each token; zeros behind a sequence's end, which leave its state as it is. */
  const tokens = (x: Tensor) => perChunk(layout.split(x), lanes);
  const column = (x: Tensor) => reshape(x, [lanes, x.shape[2] as number, 1]);

  const [q, k, v] = [tokens(mul(inputs.q, attrs.scale)), tokens(inputs.k), tokens(inputs.v)];
  const [a, b] = [tokens(inputs.a), tokens(inputs.b)];
  const logDecay = inputs.logDecay && tokens(inputs.logDecay);
  let state = inputs.initialState ? reshape(inputs.initialState, [lanes, dk, dv]) : zeros([lanes, dk, dv]);
  const recalled: Tensor[] = [];
  const outputs = q.map((query, t) => {
    const seen = matMul(a[t] as Tensor, state);
    recalled.push(seen);
    const decayedState = logDecay ? mul(state, exp(column(logDecay[t] as Tensor))) : state;
    const writtenBack = add(decayedState, mul(column(b[t] as Tensor), seen));
    state = add(writtenBack, mul(column(k[t] as Tensor), v[t] as Tensor));
    return matMul(query, state);
  });
  return {
    o: layout.join(concat(outputs, 0)),
    state: reshape(state, [attrs.count, heads, dk, dv]),
    recalled: layout.join(concat(recalled, 0)),
  };
}
