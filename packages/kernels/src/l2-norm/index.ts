// Normalisation to unit length over the last axis.
import { checkShapes, defineOp, reshape, type Tensor } from '@mnemix/tensor';
import { toRows } from '../rows.ts';
import * as gpu from './gpu.ts';
import * as portable from './portable.ts';
import * as wasm from './wasm.ts';

const backwardOp = defineOp<portable.BackwardInputs, { dx: Tensor }, portable.Attrs>({
  name: 'L2NormBackward',
  outputs: ['dx'],
  portable: portable.backward,
  kernels: { ...wasm.backward, ...gpu.backward },
});

const forwardOp = defineOp<portable.Inputs, { y: Tensor }, portable.Attrs>({
  name: 'L2Norm',
  outputs: ['y'],
  portable: portable.forward,
  kernels: { ...wasm.forward, ...gpu.forward },
  gradient: ({ inputs, grads, attrs }) => ({ x: backwardOp({ x: inputs.x, dy: grads.y }, attrs).dx }),
});

const pairBackwardOp = defineOp<portable.PairBackwardInputs, { dx: Tensor; dz: Tensor }, portable.Attrs>({
  name: 'L2NormPairBackward',
  outputs: ['dx', 'dz'],
  portable: ({ x, z, dy, dyOfZ }, attrs) => ({
    dx: backwardOp({ x, dy }, attrs).dx,
    dz: backwardOp({ x: z, dy: dyOfZ }, attrs).dx,
  }),
  kernels: { ...wasm.pairBackward, ...gpu.pairBackward },
});

const pairForwardOp = defineOp<portable.PairInputs, { y: Tensor; yOfZ: Tensor }, portable.Attrs>({
  name: 'L2NormPair',
  outputs: ['y', 'yOfZ'],
  portable: ({ x, z }, attrs) => ({ y: forwardOp({ x }, attrs).y, yOfZ: forwardOp({ x: z }, attrs).y }),
  kernels: { ...wasm.pairForward, ...gpu.pairForward },
  gradient: ({ inputs: { x, z }, grads, attrs }) => {
    const { dx, dz } = pairBackwardOp({ x, z, dy: grads.y, dyOfZ: grads.yOfZ }, attrs);
    return { x: dx, z: dz };
  },
});

export interface L2NormOptions {
  /**
   * Added to the sum of squares, inside the root. Default 1e-6, as the queries and keys of the delta rule use
   * it.
   */
  readonly eps?: number;
}

/**
 * y = r·x with r = (Σx² + ε)^{−1/2}, the sum over the last axis. Gradient: dx = r(dy − (dy·y) y).
 *
 * @param x [..., D]
 * @returns [..., D]
 * @throws MnemixError `shape`
 */
export function l2Norm(x: Tensor, { eps = 1e-6 }: L2NormOptions = {}): Tensor {
  return reshape(forwardOp({ x: toRows('l2Norm(x)', x) }, { eps }).y, x.shape);
}

/**
 * Queries and keys, each as {@link l2Norm}, in one pass where the backend has a kernel for it.
 *
 * @param q [..., D]
 * @param k in the shape of q
 * @returns both in that shape
 * @throws MnemixError `shape`
 */
export function l2NormPair(q: Tensor, k: Tensor, { eps = 1e-6 }: L2NormOptions = {}): [Tensor, Tensor] {
  checkShapes('l2NormPair', { k: [k, q.shape] });
  const inputs = { x: toRows('l2NormPair(q)', q), z: toRows('l2NormPair(k)', k) };
  const { y, yOfZ } = pairForwardOp(inputs, { eps });
  return [reshape(y, q.shape), reshape(yOfZ, q.shape)];
}
