// Gradients of the value-decay scan, in chunks.
import { add, matMul, mul, reshape, sum, transpose, type Tensor } from '@mnemix/tensor';
import { gateGradient } from '../portable/gate-gradient.ts';
import type { ScanAttrs } from '../portable/scan-options.ts';
import { scanStates } from '../portable/state-scan.ts';
import { valueDecayChunks } from './chunk.ts';
import type { ValueDecayGradientInputs, ValueDecayGradients } from './op.ts';

export function valueDecayBackward(
  { dO: dOutput, dState, ...inputs }: ValueDecayGradientInputs,
  attrs: ScanAttrs,
): ValueDecayGradients {
  const { layout, q, k, v, decay, scores, pairs, ownScore, states, byState, byScores } = valueDecayChunks(
    inputs,
    attrs,
  );
  const [, heads, dk] = inputs.q.shape as [number, number, number];
  const dv = inputs.v.shape[2] as number;
  const dO = layout.split(dOutput);
  const dFinal = transpose(reshape(dState, [layout.lanes, dk, dv]), [0, 2, 1]);
  const dRead = decay.throughToken(dO);
  const dStates = scanStates(matMul(dRead, q, true, false), decay.whole, dFinal, { reverse: true });

  // Three ways from a write to a read: through the states between chunks, within the chunk, and at the token
  // itself.
  const dPairs = scores.of(dO, v);
  const dOwnScore = sum(mul(dO, v), 2, true);
  const dV = {
    byState: decay.afterToken(matMul(k, dStates.entering, false, true)),
    byScores: scores.pullY(pairs, dO),
  };
  const dQ = add(matMul(dRead, states.entering), matMul(dPairs, k));
  const dK = add(matMul(decay.afterToken(v), dStates.entering), matMul(dPairs, q, true, false));
  const logDecay = gateGradient({
    logDecay: inputs.logDecay,
    layout,
    reads: [{ x: dO, byState, byScores, ownGate: true }],
    writes: [{ x: v, ...dV }],
    throughChunk: { entering: states.entering, whole: decay.whole, dLeaving: dStates.entering },
  });
  return {
    q: mul(layout.join(add(dQ, mul(dOwnScore, k))), attrs.scale),
    k: layout.join(add(dK, mul(dOwnScore, q))),
    v: layout.join(add(add(dV.byState, dV.byScores), mul(ownScore, dO))),
    logDecay: logDecay as Tensor,
    initialState: reshape(transpose(dStates.final, [0, 2, 1]), [attrs.count, heads, dk, dv]),
  };
}
