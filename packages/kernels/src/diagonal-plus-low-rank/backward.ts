// Gradients of the scan with a diagonal plus low-rank transition, in chunks. The gradient of T = (I − N)^{-1}
// is never formed: that of the recalled values, pulled back through T, contains it.
import { add, concat, matMul, mul, reshape, sum, zeros, type Tensor } from '@mnemix/tensor';
import { gateGradient } from '../portable/gate-gradient.ts';
import type { ScanAttrs } from '../portable/scan-options.ts';
import { chunkOrder, decayed, perChunk, scanStates } from '../portable/state-scan.ts';
import { solveUnitLower } from '../portable/triangular.ts';
import { diagonalPlusLowRankChunks, earlier, later, type DiagonalPlusLowRankChunks } from './chunk.ts';
import type { DiagonalPlusLowRankGradientInputs, DiagonalPlusLowRankGradients } from './op.ts';

export function diagonalPlusLowRankBackward(
  { recalled: recalledRows, dO: dOutput, dState, ...inputs }: DiagonalPlusLowRankGradientInputs,
  attrs: ScanAttrs,
): DiagonalPlusLowRankGradients {
  const chunks = diagonalPlusLowRankChunks(inputs, attrs);
  const { layout, q, k, v, b, next, decay, scores, reads, recalls, initial } = chunks;
  const [, heads, dk] = inputs.q.shape as [number, number, number];
  const dv = inputs.v.shape[2] as number;
  const dO = layout.split(dOutput);
  const recalled = layout.split(recalledRows);
  const written = (keys: Tensor, values: Tensor) => matMul(decay.afterToken(keys), values, true, false);
  const states = scanStates(add(written(k, v), written(b, recalled)), decay.whole, initial);
  const last = dState ? reshape(dState, [layout.lanes, dk, dv]) : zeros([layout.lanes, dk, dv]);
  const { dRecalled, entering: dStates, final } = backwardScan(chunks, dO, last);

  // Three ways from a write to a read or recall: through the states between chunks, within the chunk from
  // token to token, and at the token itself, without decay.
  const outer = (x: Tensor, y: Tensor) => matMul(x, y, false, true);
  const byState = {
    q: decay.throughToken(outer(dO, states.entering)),
    a: decay.beforeToken(outer(dRecalled, states.entering)),
    k: decay.afterToken(outer(v, dStates)),
    b: decay.afterToken(outer(recalled, dStates)),
  };
  const within = (x: Tensor, gradient: Tensor, keys: Tensor, values: Tensor) => {
    const dScores = outer(gradient, values);
    const dOwnScore = sum(mul(gradient, values), 2, true);
    return {
      x: { byScores: scores.pullX(dScores, keys), own: mul(dOwnScore, keys) },
      keys: { byScores: scores.pullY(dScores, x), own: mul(dOwnScore, x) },
    };
  };
  const dNext = later(dRecalled);
  const readsOf = { k: within(q, dO, k, v), b: within(q, dO, b, recalled) };
  const recallsOf = { k: within(next, dNext, k, v), b: within(next, dNext, b, recalled) };
  const byToken = {
    q: both(readsOf.k.x, readsOf.b.x),
    next: both(recallsOf.k.x, recallsOf.b.x),
    k: both(readsOf.k.keys, recallsOf.k.keys),
    b: both(readsOf.b.keys, recallsOf.b.keys),
  };

  const logDecay = gateGradient({
    logDecay: inputs.logDecay,
    layout,
    reads: [
      { x: q, byState: byState.q, byScores: byToken.q.byScores, ownGate: true },
      { x: next, byState: later(byState.a), byScores: byToken.next.byScores, ownGate: true },
    ],
    writes: [
      { x: k, byState: byState.k, byScores: byToken.k.byScores },
      { x: b, byState: byState.b, byScores: byToken.b.byScores },
    ],
    throughChunk: { entering: states.entering, whole: decay.whole, dLeaving: dStates },
  });
  const dV = {
    byState: matMul(decay.afterToken(k), dStates),
    byScores: add(matMul(reads.k, dO, true, false), matMul(recalls.k, dRecalled, true, false)),
  };
  const withinChunk = ({ byScores, own }: ByToken) => add(byScores, own);
  return {
    q: mul(layout.join(add(byState.q, withinChunk(byToken.q))), attrs.scale),
    k: layout.join(add(byState.k, withinChunk(byToken.k))),
    v: layout.join(add(dV.byState, dV.byScores)),
    a: layout.join(add(byState.a, earlier(withinChunk(byToken.next)))),
    b: layout.join(add(byState.b, withinChunk(byToken.b))),
    logDecay: logDecay ?? zeros([0]),
    initialState: inputs.initialState ? reshape(final, [attrs.count, heads, dk, dv]) : zeros([0]),
  };
}

/** Gradients within the chunk: from token to token, and at the token itself. */
interface ByToken {
  readonly byScores: Tensor;
  readonly own: Tensor;
}

const both = (x: ByToken, y: ByToken): ByToken => ({
  byScores: add(x.byScores, y.byScores),
  own: add(x.own, y.own),
});

/**
 * The gradients R of what T is applied to, and of each chunk's final state, from the last chunk to the first:
 * dV̂ = ⟨Q,B⟩ᵀ dO + (B⊙e^{b_C−b}) dS, R = Tᵀ dV̂, dS ← e^{b_C} dS + (Q⊙e^b)ᵀ dO + (A⊙e^p)ᵀ R.
 */
function backwardScan(
  { layout, q, a, b, decay, reads, system }: DiagonalPlusLowRankChunks,
  dO: Tensor,
  dFinal: Tensor,
): { dRecalled: Tensor; entering: Tensor; final: Tensor } {
  const each = (x: Tensor) => perChunk(x, layout.lanes);
  const byScores = each(solveUnitLower(system, matMul(reads.b, dO, true, false), true));
  const byState = each(solveUnitLower(system, decay.afterToken(b), true));
  const byReads = each(matMul(decay.throughToken(q), dO, true, false));
  const recallKeys = each(decay.beforeToken(a));
  const whole = decay.whole && each(decay.whole);
  const dRecalled: Tensor[] = [];
  const entering: Tensor[] = [];
  let dState = dFinal;
  for (const chunk of chunkOrder(layout.chunks, true)) {
    entering[chunk] = dState;
    const gradient = add(byScores[chunk] as Tensor, matMul(byState[chunk] as Tensor, dState));
    dRecalled[chunk] = gradient;
    const byRecalls = matMul(recallKeys[chunk] as Tensor, gradient, true, false);
    dState = add(add(decayed(dState, whole?.[chunk]), byReads[chunk] as Tensor), byRecalls);
  }
  return { dRecalled: concat(dRecalled, 0), entering: concat(entering, 0), final: dState };
}
