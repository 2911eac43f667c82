// The tensor operations that mixers are written in. Most are tfjs's own; those whose stock form is wrong, missing or
// not differentiable are ours (trap numbers refer to docs/traps.md).
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, TensorLike } from '@tensorflow/tfjs-core';
import { noGrad } from './autodiff.ts';
import { checkShapes, MnemixError } from './errors.ts';

// Creation
export {
  fill,
  ones,
  onesLike,
  range,
  scalar,
  tensor,
  tensor1d,
  tensor2d,
  tensor3d,
  tensor4d,
  zeros,
  zerosLike,
} from '@tensorflow/tfjs-core';
// Elementwise
export {
  abs,
  add,
  clipByValue,
  cos,
  div,
  exp,
  log,
  log1p,
  maximum,
  minimum,
  mul,
  neg,
  pow,
  relu,
  rsqrt,
  sigmoid,
  sin,
  softplus,
  sqrt,
  square,
  sub,
  tanh,
  where,
} from '@tensorflow/tfjs-core';
// Reductions
export { logSoftmax, logSumExp, max, mean, min, softmax, sum } from '@tensorflow/tfjs-core';
// Shape
export {
  broadcastTo,
  cast,
  concat,
  expandDims,
  pad,
  reshape,
  reverse,
  slice,
  split,
  squeeze,
  stack,
  tile,
  transpose,
  unstack,
} from '@tensorflow/tfjs-core';

/**
 * a·b over the last two axes, either transposed first; the other axes are broadcast. (tfjs itself returns too few
 * values, on any backend, where both have batch axes to be broadcast.)
 *
 * @throws MnemixError `shape`
 */
export function matMul<T extends Tensor>(a: Tensor, b: Tensor, transposeA = false, transposeB = false): T {
  const [outerA, outerB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
  checkShapes('matMul', {
    a: [{ shape: a.shape.slice(-2) }, transposeA ? ['inner', 'rows'] : ['rows', 'inner']],
    b: [{ shape: b.shape.slice(-2) }, transposeB ? ['columns', 'inner'] : ['inner', 'columns']],
  });
  const outer = broadcastBatch(outerA, outerB);
  const batch = tf.util.sizeFromShape(outer);
  const whole = (x: Tensor, own: number[]): Tensor => {
    const fits = [1, batch].includes(tf.util.sizeFromShape(own));
    return fits ? x : tf.broadcastTo(x, [...outer, ...x.shape.slice(-2)] as never);
  };
  return tf.matMul<T>(whole(a, outerA), whole(b, outerB), transposeA, transposeB);
}

function broadcastBatch(a: number[], b: number[]): number[] {
  try {
    return tf.broadcast_util.assertAndGetBroadcastShape(a, b);
  } catch (cause) {
    throw new MnemixError({
      code: 'shape',
      where: 'matMul(a, b)',
      message: `their batch axes [${a.join(', ')}] and [${b.join(', ')}] cannot be broadcast.`,
      fix: 'Make them equal, or 1.',
      cause,
    });
  }
}

/** x·σ(x). */
export const silu = <T extends Tensor>(x: T): T => tf.mul(x, tf.sigmoid(x));

/** ln σ(x), without overflow on either side. */
export const logSigmoid = <T extends Tensor>(x: T): T => tf.neg(tf.softplus(tf.neg(x))) as T;

// Comparisons and logic are constants to a gradient; tfjs throws there instead (trap: gradients absent).
type Compare = (a: Tensor | TensorLike, b: Tensor | TensorLike) => Tensor;
const constant =
  (op: Compare): Compare =>
  (a, b) =>
    noGrad(() => op(a, b));

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
export const argMax = (x: Tensor, axis = -1): Tensor =>
  noGrad(() => tf.argMax(x, axis < 0 ? axis + x.rank : axis));
