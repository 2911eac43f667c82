// Indicator vectors. tfjs's own kernel on WASM writes the bits of an integer 1 into float32 results, and refuses a
// depth of 1.
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { defineOp } from './define-op.ts';
import { hostKernel } from './host-kernel.ts';

const op = defineOp<{ indices: Tensor }, { y: Tensor }, { depth: number }>({
  name: 'OneHot',
  outputs: ['y'],
  integers: ['indices'],
  portable: ({ indices }, { depth }) => ({
    y: tf.cast(tf.equal(tf.expandDims(indices, -1), tf.range(0, depth, 1, 'int32')), 'float32'),
  }),
  kernels: hostKernel({
    outputs: ({ indices }, { depth }) => [{ shape: [...indices.shape, depth] }],
    run: ({ indices }, [y], { depth }) => {
      const out = (y as typeof indices).data.fill(0);
      indices.data.forEach((index: number, row: number) => {
        if (index >= 0 && index < depth) out[row * depth + index] = 1;
      });
    },
  }),
});

/** int32 indices [...] → float32 [..., depth]; an index outside of 0 … depth−1 gives zeros. A constant to gradients. */
export const oneHot = (indices: Tensor, depth: number): Tensor =>
  op({ indices: tf.cast(indices, 'int32') }, { depth }).y;
