// Gradients of the delta-rule scan, in chunks. The gradient of T = (I + L)^{-1} is never formed: that of the corrected
// values, pulled back through T, contains it.
import { add, concat, matMul, mul, neg, reshape, sub, sum, zeros, type Tensor } from '@mnemix/tensor';
import { gateGradient } from '../portable/gate-gradient.ts';
import { chunkOrder, decayed, perChunk, scanStates } from '../portable/state-scan.ts';
import { solveUnitLower } from '../portable/triangular.ts';
import { deltaRuleChunks, ownScore, type DeltaRuleChunks } from './chunk.ts';
import type { DeltaRuleAttrs, DeltaRuleGradientInputs, DeltaRuleGradients } from './op.ts';

export function deltaRuleBackward(
  { corrected, dO: dOutput, dState, ...inputs }: DeltaRuleGradientInputs,
  attrs: DeltaRuleAttrs,
): DeltaRuleGradients {
  const chunks = deltaRuleChunks(inputs, attrs);
  const { layout, q, k, v, beta, erase, e, decay, scores, toSeen, fromSeen, toErase, initial } = chunks;
  const [, heads, dk] = inputs.q.shape as [number, number, number];
  const dv = inputs.v.shape[2] as number;
  const dO = layout.split(dOutput);
  const writes = layout.split(corrected);
  const states = scanStates(matMul(decay.afterToken(k), writes, true, false), decay.whole, initial);
  const last = dState ? reshape(dState, [layout.lanes, dk, dv]) : zeros([layout.lanes, dk, dv]);
  const { dY, entering: dStates, final } = backwardScan(chunks, dO, last);

  // Three ways from a write to a read or erasure: through the states between chunks, within the chunk, and without decay:
  // to the read of the token itself, and to the erasure of the one behind where that sees the state before its decay.
  const [seen, dErased] = [toSeen(e), neg(toSeen(dY))];
  const dReads = matMul(dO, writes, false, true);
  const dErases = matMul(dErased, writes, false, true);
  const byState = {
    q: decay.throughToken(matMul(dO, states.entering, false, true)),
    e: neg(toErase(matMul(dY, states.entering, false, true))),
    k: decay.afterToken(matMul(writes, dStates, false, true)),
  };
  const byScores = {
    q: scores.pullX(dReads, k),
    e: scores.pullX(dErases, k),
    k: add(scores.pullY(dReads, q), scores.pullY(dErases, seen)),
  };
  const dOwnRead = ownScore(dO, writes);
  const dOwnErase = attrs.eraseBeforeDecay ? ownScore(dErased, writes) : undefined;
  const dReadK = add(add(byState.k, byScores.k), mul(dOwnRead, q));
  const dK = dOwnErase ? add(dReadK, mul(dOwnErase, seen)) : dReadK;
  const dSeen = dOwnErase ? add(byScores.e, mul(dOwnErase, k)) : byScores.e;
  const dE = add(byState.e, fromSeen(dSeen));
  const dEraseKey = beta ? mul(dE, beta) : dE;
  const logDecay = gateGradient({
    logDecay: inputs.logDecay,
    layout,
    reads: [
      { x: q, byState: byState.q, byScores: byScores.q, ownGate: true },
      { x: seen, byState: toSeen(byState.e), byScores: byScores.e, ownGate: true },
    ],
    writes: [{ x: k, byState: byState.k, byScores: byScores.k }],
    throughChunk: { entering: states.entering, whole: decay.whole, dLeaving: dStates },
  });

  const none = () => zeros([0]);
  return {
    q: mul(layout.join(add(add(byState.q, byScores.q), mul(dOwnRead, k))), attrs.scale),
    k: layout.join(inputs.erase ? dK : add(dK, dEraseKey)),
    v: layout.join(beta ? mul(dY, beta) : dY),
    beta: inputs.beta
      ? reshape(layout.join(add(sum(mul(dY, v), 2, true), sum(mul(dE, erase), 2, true))), inputs.beta.shape)
      : none(),
    erase: inputs.erase ? layout.join(dEraseKey) : none(),
    logDecay: logDecay ?? none(),
    initialState: inputs.initialState ? reshape(final, [attrs.count, heads, dk, dv]) : none(),
  };
}

/**
 * The gradients of the write values Y and of each chunk's final state, from the last chunk to the first:
 * dV̂ = Aᵀ dO + (K⊙e^{b_C−b}) dS, where A are all scores of reads, dY = Tᵀ dV̂,
 * dS ← e^{b_C} dS + (Q⊙e^b)ᵀ dO − (E⊙e^ρ)ᵀ dY.
 */
function backwardScan(
  chunks: DeltaRuleChunks,
  dO: Tensor,
  dFinal: Tensor,
): { dY: Tensor; entering: Tensor; final: Tensor } {
  const { layout, q, k, e, decay, scores, toErase, system } = chunks;
  const each = (x: Tensor) => perChunk(x, layout.lanes);
  const ofReads = add(matMul(scores.of(q, k), dO, true, false), mul(ownScore(q, k), dO));
  const byScores = each(solveUnitLower(system, ofReads, true));
  const byState = each(solveUnitLower(system, decay.afterToken(k), true));
  const byReads = each(matMul(decay.throughToken(q), dO, true, false));
  const eraseKeys = each(toErase(e));
  const whole = decay.whole && each(decay.whole);
  const dY: Tensor[] = [];
  const entering: Tensor[] = [];
  let dState = dFinal;
  for (const chunk of chunkOrder(layout.chunks, true)) {
    entering[chunk] = dState;
    const dValues = add(byScores[chunk] as Tensor, matMul(byState[chunk] as Tensor, dState));
    dY[chunk] = dValues;
    const byErase = matMul(eraseKeys[chunk] as Tensor, dValues, true, false);
    dState = sub(add(decayed(dState, whole?.[chunk]), byReads[chunk] as Tensor), byErase);
  }
  return { dY: concat(dY, 0), entering: concat(entering, 0), final: dState };
}
