// The tensor operations that mixers are written in. Most are tfjs's own; those whose stock form is wrong, missing or
// not differentiable are ours (trap numbers refer to docs/traps.md).
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, TensorLike } from '@tensorflow/tfjs-core';
import { noGrad } from './autodiff.ts';

// Creation
export { fill, ones, onesLike, range, scalar, tensor, tensor1d, tensor2d, tensor3d, tensor4d, zeros, zerosLike } from '@tensorflow/tfjs-core';
// Elementwise
export {
  abs, add, clipByValue, cos, div, exp, log, log1p, maximum, minimum, mul, neg, pow, relu, rsqrt, sigmoid, sin,
  softplus, sqrt, square, sub, tanh, where,
} from '@tensorflow/tfjs-core';
// Reductions
export { logSoftmax, logSumExp, max, mean, min, softmax, sum } from '@tensorflow/tfjs-core';
// Shape
export {
  broadcastTo, cast, concat, expandDims, matMul, pad, reshape, reverse, slice, split, squeeze, stack, tile, transpose, unstack,
} from '@tensorflow/tfjs-core';

/** x·σ(x). */
export const silu = <T extends Tensor>(x: T): T => tf.mul(x, tf.sigmoid(x));

/** ln σ(x), without overflow on either side. */
export const logSigmoid = <T extends Tensor>(x: T): T => tf.neg(tf.softplus(tf.neg(x))) as T;

// Comparisons and logic are constants to a gradient; tfjs throws there instead (trap: gradients absent).
type Compare = (a: Tensor | TensorLike, b: Tensor | TensorLike) => Tensor;
const constant = (op: Compare): Compare => (a, b) => noGrad(() => op(a, b));

export const equal = constant(tf.equal);
export const notEqual = constant(tf.notEqual);
export const greater = constant(tf.greater);
export const greaterEqual = constant(tf.greaterEqual);
export const less = constant(tf.less);
export const lessEqual = constant(tf.lessEqual);
export const logicalAnd = constant(tf.logicalAnd);
export const logicalOr = constant(tf.logicalOr);
export const logicalNot = (a: Tensor): Tensor => noGrad(() => tf.logicalNot(a));
export const floor = (a: Tensor): Tensor => noGrad(() => tf.floor(a));
export const argMax = (x: Tensor, axis = -1): Tensor => noGrad(() => tf.argMax(x, axis < 0 ? axis + x.rank : axis));

/**
 * Inclusive or exclusive running sum along any axis, with the right gradient (trap 1: tfjs's own gradient transposes
 * when the axis is not the last, silently where the sizes agree).
 */
export function cumsum(x: Tensor, axis: number, { exclusive = false, reverse = false } = {}): Tensor {
  const from = axis < 0 ? axis + x.rank : axis;
  const last = x.rank - 1;
  if (from === last) return tf.cumsum(x, last, exclusive, reverse);
  const order = [...Array(x.rank).keys()].filter((i) => i !== from).concat(from);
  const back = order.map((_, i) => order.indexOf(i));
  return tf.transpose(tf.cumsum(tf.transpose(x, order), last, exclusive, reverse), back);
}
