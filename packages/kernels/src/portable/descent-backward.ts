// Gradients of memories that learn by gradient descent. The forward pass left all states and answers, so the
// inner losses are looked at for all tokens at once. What goes from chunk to chunk, last to first, is the
// gradient dS of the state that leaves it:
//
//     g = dG + scoresᵀ dO + writes · dS
//     dz = ∂²ℓ/∂z² g
//     dS ← transitionᵀ dS + readsᵀ dO, and keysᵀ dz for the anchor
import {
  add,
  concat,
  matMul,
  mul,
  reshape,
  scatterAddRows,
  slice,
  split,
  sum,
  tile,
  transpose,
  zeros,
  type Tensor,
} from '@mnemix/tensor';
import { blocksOf, transitionOfEach } from './descent-forward.ts';
import type { DescentAttrs, DescentGradientInputs, DescentGradients } from './descent.ts';
import { innerPoint, innerPullBack, type InnerPoint } from './reconstruction.ts';
import { chunkOrder, perChunk } from './state-scan.ts';

export function descentBackward(inputs: DescentGradientInputs, { eps }: DescentAttrs): DescentGradients {
  const { keys, transition, offset, anchor, states, answers, dO } = inputs;
  const lanes = inputs.state.shape[0] as number;
  const [count, slots, height] = keys.shape as [number, number, number];
  const [, stacked, width] = states.shape as [number, number, number];
  const chunks = count / lanes;
  const squaredWeight = tile(inputs.squaredWeight, [chunks, 1, 1]);
  const point = innerPoint(answers, { squaredWeight, offset, eps });
  const { leaving, dAnswers, dOffset, dBlocks, dAnchor } = backwardScan(inputs, point);

  const [memories, ...momenta] = blocksOf(states, height) as [Tensor, ...Tensor[]];
  const later = () => slice(memories, [lanes, 0, 0], [count - lanes, height, width]);
  const anchors = anchor ? concat([anchor, later()], 0) : memories;
  const readers = concat([states, point.gradient], 1);
  const [dReads, dScores] = split(matMul(readers, dO, false, true), [stacked, slots], 1) as [Tensor, Tensor];
  const dSquaredWeight = sum(mul(dOffset, point.normalised), 1);
  const [dMemory, ...dMomentum] = dBlocks as [Tensor, ...Tensor[]];
  return {
    reads: flipped(dReads),
    scores: flipped(dScores),
    keys: flipped(matMul(anchors, dAnswers, false, true)),
    writes: flipped(matMul(leaving, point.gradient, false, true)),
    transition: transition ? dTransition(blocksOf(leaving, height), [memories, ...momenta]) : zeros([0]),
    offset: dOffset,
    squaredWeight: sum(reshape(dSquaredWeight, [chunks, lanes, 1, width]), 0),
    state: concat([anchor ? dMemory : add(dMemory, dAnchor), ...dMomentum], 1),
    anchor: anchor ? dAnchor : zeros([0]),
  };
}

/**
 * Products with a transposed second operand cost less the smaller that is, so some are taken the other way
 * round.
 */
const flipped = (x: Tensor): Tensor => transpose(x, [0, 2, 1]);

/**
 * @returns `leaving`, the gradient of the state that leaves each chunk, [P, R, D]; the gradients of z and
 *   offset [P, C, D]; those of the first chunk's M and Z, but for what its anchor has part in, and of that
 *   anchor
 */
function backwardScan(inputs: DescentGradientInputs, point: InnerPoint) {
  const { reads, scores, keys, squaredWeight, dO } = inputs;
  const lanes = inputs.state.shape[0] as number;
  const [, slots, height] = keys.shape as [number, number, number];
  const each = (x: Tensor) => perChunk(x, lanes);
  const byReads = matMul(concat([scores, reads], 2), dO, true, false);
  const parts = [slots, ...blocksOf(inputs.state, height).map(() => height)];
  const [byScores, ...byBlocks] = split(byReads, parts, 1) as [Tensor, ...Tensor[]];
  const dGradients = each(add(inputs.dGradients, byScores));
  const dReadBlocks = byBlocks.map(each);
  const [writes, keysTransposed] = [each(inputs.writes), each(transpose(keys, [0, 2, 1]))];
  const back = transitionOfEach(inputs.transition, lanes, true);
  const points = pointOfEach(point, each);
  const asked = inputs.border && each(anchorsAsked(inputs));

  const [leaving, dAnswers, dOffset]: [Tensor[], Tensor[], Tensor[]] = [[], [], []];
  let dBlocks = blocksOf(inputs.dState, height);
  let dAnchor = asked?.[writes.length];
  for (const chunk of chunkOrder(writes.length, true)) {
    const [dMemory, ...dMomentum] = dBlocks as [Tensor, ...Tensor[]];
    dBlocks = [dAnchor ? add(dMemory, dAnchor) : dMemory, ...dMomentum];
    const dState = concat(dBlocks, 1);
    const g = add(dGradients[chunk] as Tensor, matMul(writes[chunk] as Tensor, dState));
    const { dZ, dOffset: dShift } = innerPullBack(points[chunk] as InnerPoint, squaredWeight, g);
    leaving[chunk] = dState;
    dAnswers[chunk] = dZ;
    dOffset[chunk] = dShift;
    dBlocks = back(dBlocks, chunk).map((block, i) => add(block, dReadBlocks[i]?.[chunk] as Tensor));
    dAnchor = matMul(keysTransposed[chunk] as Tensor, dZ);
    if (asked) dAnchor = add(dAnchor, asked[chunk] as Tensor);
  }
  return {
    leaving: concat(leaving, 0),
    dAnswers: concat(dAnswers, 0),
    dOffset: concat(dOffset, 0),
    dBlocks,
    dAnchor: dAnchor as Tensor,
  };
}

function pointOfEach(point: InnerPoint, each: (x: Tensor) => Tensor[]): InnerPoint[] {
  const [inverseDeviation, slope] = [each(point.inverseDeviation), each(point.slope)];
  const gradient = each(point.gradient);
  return each(point.normalised).map((normalised, chunk) => ({
    normalised,
    inverseDeviation: inverseDeviation[chunk] as Tensor,
    slope: slope[chunk] as Tensor,
    gradient: gradient[chunk] as Tensor,
  }));
}

/** Gradient of the transition's one or three weights, from the blocks that leave and enter each chunk. */
function dTransition([dMemory, dMomentum]: readonly Tensor[], [memory, momentum]: readonly Tensor[]): Tensor {
  const overlap = (d: Tensor | undefined, x: Tensor | undefined) =>
    reshape(sum(mul(d as Tensor, x as Tensor), [1, 2]), [-1, 1, 1]);
  const kept = overlap(dMemory, memory);
  return momentum ? concat([kept, overlap(dMemory, momentum), overlap(dMomentum, momentum)], 2) : kept;
}

/** The gradients of the anchors that were asked for, at their chunks: [(n + 1)·L, r, D]. */
function anchorsAsked({ border, dAnchor, keys, state }: DescentGradientInputs): Tensor {
  const lanes = state.shape[0] as number;
  const sequences = (border as Tensor).size;
  const chunks = (keys.shape[0] as number) / lanes;
  const rows = reshape(dAnchor, [sequences, dAnchor.size / sequences]);
  const placed = scatterAddRows(rows, border as Tensor, (chunks + 1) * sequences);
  return reshape(placed, [(chunks + 1) * lanes, ...dAnchor.shape.slice(1)]);
}
