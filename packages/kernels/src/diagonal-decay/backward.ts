// Gradients of the diagonal-decay scan, in chunks.
import { add, matMul, mul, reshape, sum, zeros } from '@mnemix/tensor';
import { gateGradient } from '../portable/gate-gradient.ts';
import type { ScanAttrs } from '../portable/scan-options.ts';
import { scanStates } from '../portable/state-scan.ts';
import { diagonalDecayChunks } from './chunk.ts';
import type { DiagonalDecayGradientInputs, DiagonalDecayGradients } from './op.ts';

export function diagonalDecayBackward(
  { dO: dOutput, dState, ...inputs }: DiagonalDecayGradientInputs,
  attrs: ScanAttrs,
): DiagonalDecayGradients {
  const { layout, q, k, v, ownQuery, bonus, decay, scores, toQuery, states } = diagonalDecayChunks(
    inputs,
    attrs,
  );
  const [, heads, dk] = inputs.q.shape as [number, number, number];
  const dv = inputs.v.shape[2] as number;
  const dO = layout.split(dOutput);
  const dFinal = dState ? reshape(dState, [layout.lanes, dk, dv]) : zeros([layout.lanes, dk, dv]);
  const dStates = scanStates(matMul(toQuery(q), dO, true, false), decay.whole, dFinal, { reverse: true });

  // Three ways from a write to a read: through the states between chunks, within the chunk, and at the token itself.
  const dScores = matMul(dO, v, false, true);
  const byState = {
    q: toQuery(matMul(dO, states.entering, false, true)),
    k: decay.afterToken(matMul(v, dStates.entering, false, true)),
  };
  const byScores = { q: scores.pullX(dScores, k), k: scores.pullY(dScores, q) };
  const ownScore = sum(mul(ownQuery, k), 2, true);
  const dOwnScore = sum(mul(dO, v), 2, true);
  const dOwnQuery = mul(dOwnScore, k);

  const dV = add(matMul(decay.afterToken(k), dStates.entering), matMul(scores.of(q, k), dO, true, false));
  const logDecay = gateGradient({
    logDecay: inputs.logDecay,
    layout,
    reads: [{ x: q, byState: byState.q, byScores: byScores.q, ownGate: bonus === undefined }],
    writes: [{ x: k, byState: byState.k, byScores: byScores.k }],
    throughChunk: { entering: states.entering, whole: decay.whole, dLeaving: dStates.entering },
  });
  const dBonus = () => sum(reshape(sum(mul(dOwnQuery, q), 1), [layout.chunks * attrs.count, heads, dk]), 0);
  return {
    q: mul(
      layout.join(add(add(byState.q, byScores.q), bonus ? mul(dOwnQuery, bonus) : dOwnQuery)),
      attrs.scale,
    ),
    k: layout.join(add(add(byState.k, byScores.k), mul(dOwnScore, ownQuery))),
    v: layout.join(add(dV, mul(ownScore, dO))),
    logDecay: logDecay ?? zeros([0]),
    bonus: bonus ? dBonus() : zeros([0]),
    initialState: inputs.initialState ? reshape(dStates.final, [attrs.count, heads, dk, dv]) : zeros([0]),
  };
}
