// Gradients of the delta-rule scan, in chunks. The gradient of T = (I + L)^{-1} is never formed: that of the corrected
// values, pulled back through T, contains it.
import { add, concat, cumsum, matMul, mul, neg, reshape, sub, sum, zeros, type Tensor } from '@mnemix/tensor';
import { chunkOrder, decayed, leaving, perChunk, scanStates } from '../portable/state-scan.ts';
import { deltaRuleChunks, type DeltaRuleChunks } from './chunk.ts';
import type { DeltaRuleAttrs, DeltaRuleGradientInputs, DeltaRuleGradients } from './op.ts';

export function deltaRuleBackward(
  { corrected, dO: dOutput, dState, ...inputs }: DeltaRuleGradientInputs,
  attrs: DeltaRuleAttrs,
): DeltaRuleGradients {
  const chunks = deltaRuleChunks(inputs, attrs);
  const { layout, q, k, v, beta, erase, e, decay, readScores, eraseScores, toErase, initial } = chunks;
  const [, heads, dk] = inputs.q.shape as [number, number, number];
  const dv = inputs.v.shape[2] as number;
  const dO = layout.split(dOutput);
  const writes = layout.split(corrected);
  const states = scanStates(matMul(decay.afterToken(k), writes, true, false), decay.whole, initial);
  const { dY, entering: dStates, final } = backwardScan(chunks, dO, reshape(dState, [layout.lanes, dk, dv]));

  const dRead = matMul(dO, writes, false, true);
  const dErase = neg(matMul(dY, writes, false, true));
  const dQ = add(decay.throughToken(matMul(dO, states.entering, false, true)), readScores.pullX(dRead, k));
  const dK = add(
    decay.afterToken(matMul(writes, dStates, false, true)),
    add(readScores.pullY(dRead, q), eraseScores.pullY(dErase, e)),
  );
  const dE = sub(eraseScores.pullX(dErase, k), toErase(matMul(dY, states.entering, false, true)));
  const dEraseKey = beta ? mul(dE, beta) : dE;

  const logDecay = inputs.logDecay && dLogDecay();
  function dLogDecay(): Tensor {
    const byChannel = inputs.logDecay?.rank === 3;
    const total = (x: Tensor) => (byChannel ? x : sum(x, 2, true));
    // A gate decays all that its own and earlier tokens wrote, on its way to its own and later reads.
    const readsMinusWrites = cumsum(total(sub(mul(q, dQ), mul(k, dK))), 1, { reverse: true });
    const erases = cumsum(total(mul(e, dE)), 1, { reverse: true, exclusive: attrs.eraseBeforeDecay });
    const throughEnd = reshape(sum(mul(leaving(states), dStates), 2), [-1, 1, dk]);
    const gradient = layout.join(add(add(readsMinusWrites, erases), total(throughEnd)));
    return reshape(gradient, (inputs.logDecay as Tensor).shape);
  }

  const none = () => zeros([0]);
  return {
    q: mul(layout.join(dQ), attrs.scale),
    k: layout.join(inputs.erase ? dK : add(dK, dEraseKey)),
    v: layout.join(beta ? mul(dY, beta) : dY),
    beta: inputs.beta
      ? reshape(layout.join(add(sum(mul(dY, v), 2, true), sum(mul(dE, erase), 2, true))), inputs.beta.shape)
      : none(),
    erase: inputs.erase ? layout.join(dEraseKey) : none(),
    logDecay: logDecay ?? none(),
    initialState: reshape(final, [attrs.count, heads, dk, dv]),
  };
}

/**
 * The gradients of the write values Y and of each chunk's final state, from the last chunk to the first:
 * dV̂ = Aᵀ dO + (K⊙e^{b_C−b}) dS, dY = Tᵀ dV̂, dS ← e^{b_C} dS + (Q⊙e^b)ᵀ dO − (E⊙e^ρ)ᵀ dY.
 */
function backwardScan(chunks: DeltaRuleChunks, dO: Tensor, dFinal: Tensor): { dY: Tensor; entering: Tensor; final: Tensor } {
  const { layout, q, k, e, decay, readScores, toErase, solve } = chunks;
  const each = (x: Tensor) => perChunk(x, layout.lanes);
  const byScores = each(matMul(readScores.of(q, k), dO, true, false));
  const byReads = each(matMul(decay.throughToken(q), dO, true, false));
  const [keys, eraseKeys, solves] = [each(decay.afterToken(k)), each(toErase(e)), each(solve)];
  const whole = decay.whole && each(decay.whole);
  const dY: Tensor[] = [];
  const entering: Tensor[] = [];
  let dState = dFinal;
  for (const chunk of chunkOrder(layout.chunks, true)) {
    entering[chunk] = dState;
    const dWrites = add(byScores[chunk] as Tensor, matMul(keys[chunk] as Tensor, dState));
    const dValues = matMul(solves[chunk] as Tensor, dWrites, true, false);
    dY[chunk] = dValues;
    const byErase = matMul(eraseKeys[chunk] as Tensor, dValues, true, false);
    dState = sub(add(decayed(dState, whole?.[chunk]), byReads[chunk] as Tensor), byErase);
  }
  return { dY: concat(dY, 0), entering: concat(entering, 0), final: dState };
}
