// Mixture-of-Memories: tokens to their bucket rows, and back as a weighted sum.
import { checkShapes, defineOp, reshape, sizeOf, type Tensor } from '@mnemix/tensor';
import type { RoutePlan } from '../route-plan/index.ts';
import * as gpu from './gpu.ts';
import * as portable from './portable.ts';
import * as wasm from './wasm.ts';

const sumOp = defineOp<portable.SumInputs, { y: Tensor }, object>({
  name: 'RouteSum',
  outputs: ['y'],
  integers: ['position'],
  portable: portable.sumCopies,
  kernels: { ...wasm.sumCopies, ...gpu.sumCopies },
});

const gatherOp = defineOp<portable.GatherInputs, { y: Tensor }, object>({
  name: 'RouteGather',
  outputs: ['y'],
  integers: ['source', 'position'],
  portable: portable.gather,
  kernels: { ...wasm.gather, ...gpu.gather },
  gradient: ({ inputs, grads }) => ({ x: sumOp({ o: grads.y, position: inputs.position }, {}).y }),
});

const mixBackwardOp = defineOp<portable.MixBackwardInputs, portable.MixGradients, object>({
  name: 'RouteMixBackward',
  outputs: ['dO', 'dWeights'],
  integers: ['source', 'position'],
  portable: portable.mixBackward,
  kernels: { ...wasm.mixBackward, ...gpu.mixBackward },
});

const mixOp = defineOp<portable.MixInputs, { y: Tensor }, object>({
  name: 'RouteMix',
  outputs: ['y'],
  integers: ['source', 'position'],
  portable: portable.mix,
  kernels: { ...wasm.mix, ...gpu.mix },
  gradient: ({ inputs, grads }) => {
    const { dO, dWeights } = mixBackwardOp({ ...inputs, dy: grads.y }, {});
    return { o: dO, weights: dWeights };
  },
});

/**
 * The copies of the tokens in their buckets: y[u] = x[source[u]], zeros in rows that are left over.
 * Gradient: dx[r] = Σ_j dy[position[r, j]], a gather too.
 *
 * @param x [R, …]
 * @returns [R·K, …]
 * @throws MnemixError `shape`
 */
export function routeGather(x: Tensor, { source, position }: RoutePlan): Tensor {
  const [rows = 0, ...rest] = x.shape;
  checkShapes('routeGather', { x: [x, [position.shape[0] as number, ...rest]] });
  const { y } = gatherOp({ x: reshape(x, [rows, sizeOf(rest)]), source, position }, {});
  return reshape(y, [source.size, ...rest]);
}

/**
 * Mixes what the memories read for each token: y[r] = Σ_j weights[r, j]·o[position[r, j]], the shared memory's with weight 1.
 * Padding gives 0.
 *
 * Gradients, for the copy u of row r by choice j: do[u] = weights[r, j]·dy[r], d weights[r, j] = ⟨dy[r], o[u]⟩.
 *
 * @param inputs.o [R·K, …] in bucket order
 * @param inputs.weights [R, K]
 * @returns [R, …]
 * @throws MnemixError `shape`
 */
export function routeMix(
  { o, weights }: { o: Tensor; weights: Tensor },
  { source, position, chosen }: RoutePlan,
): Tensor {
  const [copies = 0, ...rest] = o.shape;
  checkShapes('routeMix', {
    o: [o, [source.size, ...rest]],
    weights: [weights, [position.shape[0] as number, chosen]],
  });
  const { y } = mixOp({ o: reshape(o, [copies, sizeOf(rest)]), weights, source, position }, {});
  return reshape(y, [position.shape[0] as number, ...rest]);
}
