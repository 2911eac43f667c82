// The k largest, with a gradient and the same answer to ties on every backend; tfjs's own has neither.
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { defineOp } from './define-op.ts';
import { checkConfig } from './errors.ts';
import { hostKernel } from './host-kernel.ts';
import { oneHot } from './one-hot.ts';

const LOWEST = -3.4e38;

const op = defineOp<{ x: Tensor }, { values: Tensor; indices: Tensor }, { k: number }>({
  name: 'TopK',
  outputs: ['values', 'indices'],
  savedOutputs: ['indices'],
  // k rounds of "largest, lowest index first": a handful of plain ops that agree everywhere, without a sort.
  portable: ({ x }, { k }) => {
    const size = x.shape.at(-1) as number;
    const picks: Tensor[] = [];
    // Taken entries become −∞, and must lose to entries that are −∞ themselves.
    let rest: Tensor = tf.maximum(x, LOWEST);
    for (let round = 0; round < k; round++) {
      const pick = tf.argMax(rest, -1);
      picks.push(pick);
      rest = tf.where(tf.cast(oneHot(pick, size), 'bool'), tf.fill(x.shape, -Infinity), rest);
    }
    const indices = tf.cast(tf.stack(picks, -1), 'int32');
    const chosen = oneHot(indices, size);
    // Selected, not multiplied: the entries may be infinite.
    const values = tf.sum(tf.where(tf.cast(chosen, 'bool'), tf.expandDims(x, -2), tf.zerosLike(chosen)), -1);
    return { values, indices };
  },
  kernels: hostKernel({
    outputs: ({ x }, { k }) => {
      const shape = [...x.shape.slice(0, -1), k];
      return [{ shape }, { shape, dtype: 'int32' }];
    },
    run: ({ x }, [values, indices], { k }) => {
      const size = x.shape.at(-1) as number;
      const taken = new Uint8Array(size);
      for (let row = 0, out = 0; row < x.data.length; row += size) {
        taken.fill(0);
        for (let round = 0; round < k; round++, out++) {
          let best = -1;
          for (let i = 0; i < size; i++) {
            if (!taken[i] && (best < 0 || (x.data[row + i] as number) > (x.data[row + best] as number)))
              best = i;
          }
          taken[best] = 1;
          (values as typeof x).data[out] = x.data[row + best] as number;
          (indices as typeof x).data[out] = best;
        }
      }
    },
  }),
  gradient: ({ inputs, outputs, grads }) => {
    const chosen = oneHot(outputs.indices, inputs.x.shape.at(-1) as number);
    return { x: tf.sum(tf.mul(chosen, tf.expandDims(grads.values, -1)), -2) };
  },
});

/**
 * The k largest entries along the last axis, the largest first; among equal ones the lowest index first, on every
 * backend. `values` carry gradients, `indices` (int32) are constants.
 *
 * @throws MnemixError `config` unless 1 ≤ k ≤ size of the last axis
 */
export function topK(x: Tensor, k: number): { values: Tensor; indices: Tensor } {
  const size = x.shape.at(-1) ?? 0;
  checkConfig(
    Number.isInteger(k) && k >= 1 && k <= size,
    'topK(k)',
    `k is ${k}, but the last axis has ${size} entries.`,
    `Choose k between 1 and ${size}.`,
  );
  return op({ x }, { k });
}
