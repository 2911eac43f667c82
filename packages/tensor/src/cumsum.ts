// Running sums, with the right gradient and the right shader.
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';

export interface CumsumOptions {
  /** Entry i is the sum of the entries before it, without its own. Default false. */
  readonly exclusive?: boolean;
  /** Sums run from the end. Default false. */
  readonly reverse?: boolean;
}

/**
 * Running sum along any axis. tfjs's own gradient transposes when the axis is not the last, silently where the sizes
 * agree (trap 1), and its WebGPU shader for reversed sums is cached without the axis length that it holds (trap 24):
 * so sums always run forward along the last axis.
 */
export function cumsum(
  x: Tensor,
  axis: number,
  { exclusive = false, reverse = false }: CumsumOptions = {},
): Tensor {
  const from = axis < 0 ? axis + x.rank : axis;
  const last = x.rank - 1;
  if (from !== last) {
    const order = [...Array(x.rank).keys()].filter((i) => i !== from).concat(from);
    const back = order.map((_, i) => order.indexOf(i));
    return tf.transpose(cumsum(tf.transpose(x, order), last, { exclusive, reverse }), back);
  }
  if (!reverse) return tf.cumsum(x, last, exclusive);
  return tf.reverse(tf.cumsum(tf.reverse(x, last), last, exclusive), last);
}
