// Gradients of the diagonal-decay scan, in chunks.
import { add, cumsum, matMul, mul, reshape, sub, sum, zeros, type Tensor } from '@mnemix/tensor';
import { leaving, scanStates } from '../portable/state-scan.ts';
import { diagonalDecayChunks } from './chunk.ts';
import type { ScanAttrs } from '../portable/scan-options.ts';
import type { DiagonalDecayGradientInputs, DiagonalDecayGradients } from './op.ts';

export function diagonalDecayBackward(
  { dO: dOutput, dState, ...inputs }: DiagonalDecayGradientInputs,
  attrs: ScanAttrs,
): DiagonalDecayGradients {
  const { layout, q, k, v, bonus, decay, scores, toQuery, states } = diagonalDecayChunks(inputs, attrs);
  const [, heads, dk] = inputs.q.shape as [number, number, number];
  const dv = inputs.v.shape[2] as number;
  const dO = layout.split(dOutput);
  const dStates = scanStates(
    matMul(toQuery(q), dO, true, false),
    decay.whole,
    reshape(dState, [layout.lanes, dk, dv]),
    { reverse: true },
  );

  const dScores = matMul(dO, v, false, true);
  const dVByState = matMul(decay.afterToken(k), dStates.entering);
  const dQByState = toQuery(matMul(dO, states.entering, false, true));
  const dKByState = decay.afterToken(matMul(v, dStates.entering, false, true));
  // Without the bonus, through which no decay runs.
  const dQ = add(dQByState, scores.pullX(dScores, k));
  const dK = add(dKByState, scores.pullY(dScores, q));
  const dV = add(dVByState, matMul(scores.of(q, k), dO, true, false));

  const direct = bonus && {
    weight: mul(sum(mul(mul(q, k), bonus), 2, true), dO),
    // dO·v, the gradient of q·(u⊙k).
    dWeight: sum(mul(dO, v), 2, true),
  };
  const withBonus = (gradient: Tensor, other: Tensor) =>
    direct && bonus ? add(gradient, mul(direct.dWeight, mul(bonus, other))) : gradient;

  const logDecay = inputs.logDecay && dLogDecay();
  function dLogDecay(): Tensor {
    const byChannel = inputs.logDecay?.rank === 3;
    const total = (x: Tensor) => (byChannel ? x : sum(x, 2, true));
    // A gate decays all that its own and earlier tokens wrote, on its way to its own and later reads.
    const reads = cumsum(total(mul(q, dQ)), 1, { reverse: true, exclusive: bonus !== undefined });
    const writes = cumsum(total(mul(k, dK)), 1, { reverse: true });
    const throughEnd = reshape(sum(mul(leaving(states), dStates.entering), 2), [-1, 1, dk]);
    const gradient = layout.join(add(sub(reads, writes), total(throughEnd)));
    return reshape(gradient, (inputs.logDecay as Tensor).shape);
  }

  return {
    q: mul(layout.join(withBonus(dQ, k)), attrs.scale),
    k: layout.join(withBonus(dK, q)),
    v: layout.join(direct ? add(dV, direct.weight) : dV),
    logDecay: logDecay ?? zeros([0]),
    bonus: direct
      ? sum(reshape(sum(mul(direct.dWeight, mul(q, k)), 1), [layout.chunks * attrs.count, heads, dk]), 0)
      : zeros([0]),
    initialState: reshape(dStates.final, [attrs.count, heads, dk, dv]),
  };
}
