// The delta rule token by token: the definition itself, and the cheapest form for single tokens.
import { add, concat, exp, matMul, mul, reshape, sub, zeros, type Tensor } from '@mnemix/tensor';
import { chunkLayout } from '../portable/chunk-layout.ts';
import { perChunk } from '../portable/state-scan.ts';
import type { DeltaRuleAttrs, DeltaRuleInputs, DeltaRuleOutputs } from './op.ts';

export function deltaRuleRecurrent(inputs: DeltaRuleInputs, attrs: DeltaRuleAttrs): DeltaRuleOutputs {
  const [, heads, dk] = inputs.q.shape as [number, number, number];
  const dv = inputs.v.shape[2] as number;
  const layout = chunkLayout({ ...inputs, ...attrs }, heads, 1);
  const { lanes } = layout;
  /** [S·H, 1, d] for each token; zeros behind a sequence's end, which leave its state as it is. */
  const tokens = (x: Tensor) => perChunk(layout.split(x), lanes);
  const column = (x: Tensor) => reshape(x, [lanes, x.shape[2] as number, 1]);

  const [q, k, v] = [tokens(mul(inputs.q, attrs.scale)), tokens(inputs.k), tokens(inputs.v)];
  const beta = inputs.beta && tokens(inputs.beta);
  const erase = inputs.erase ? tokens(inputs.erase) : k;
  const logDecay = inputs.logDecay && tokens(inputs.logDecay);
  let state = inputs.initialState ? reshape(inputs.initialState, [lanes, dk, dv]) : zeros([lanes, dk, dv]);
  const corrected: Tensor[] = [];
  const outputs = q.map((query, t) => {
    const decayedState = logDecay ? mul(state, exp(column(logDecay[t] as Tensor))) : state;
    const seen = matMul(erase[t] as Tensor, attrs.eraseBeforeDecay ? state : decayedState);
    const error = sub(v[t] as Tensor, seen);
    const write = beta ? mul(error, beta[t] as Tensor) : error;
    corrected.push(write);
    state = add(decayedState, mul(column(k[t] as Tensor), write));
    return matMul(query, state);
  });
  return {
    o: layout.join(concat(outputs, 0)),
    state: reshape(state, [attrs.count, heads, dk, dv]),
    corrected: layout.join(concat(corrected, 0)),
  };
}
