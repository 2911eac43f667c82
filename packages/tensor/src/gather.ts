// Rows by index, with a gradient that is the same on every run and every backend (trap 13: tfjs's own accumulates
// with atomics on WebGPU, and has no kernel on WASM).
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { defineOp, type Op } from './define-op.ts';
import { checkShapes, MnemixError } from './errors.ts';
import { hostKernel } from './host-kernel.ts';
import { oneHot } from './one-hot.ts';
import { sizeOf } from './shape.ts';

/** Elements of a one-hot matrix at a time, in the portable scatter: 64 MiB. */
const ONE_HOT_LIMIT = 2 ** 24;

// The two are each other's gradient, hence the written-out types.
type Scatter = Op<{ y: Tensor; indices: Tensor }, { x: Tensor }, { rows: number }>;
type Gather = Op<{ x: Tensor; indices: Tensor }, { y: Tensor }, object>;

const scatterOp: Scatter = defineOp({
  name: 'ScatterRows',
  outputs: ['x'],
  integers: ['indices'],
  portable: ({ y, indices }, { rows }) => {
    // One-hot products accumulate in a fixed order. An index of −1 has an all-zero row, so it adds nothing.
    const block = Math.max(1, Math.floor(ONE_HOT_LIMIT / Math.max(1, y.shape[0] as number)));
    const parts: Tensor[] = [];
    for (let start = 0; start < rows; start += block) {
      const depth = Math.min(block, rows - start);
      const local = tf.sub(indices, tf.scalar(start, 'int32'));
      parts.push(tf.matMul(oneHot(local, depth), y, true, false));
    }
    return { x: tf.concat(parts, 0) };
  },
  kernels: hostKernel({
    outputs: ({ y }, { rows }) => [{ shape: [rows, y.shape[1] as number] }],
    run: ({ y, indices }, [x]) => {
      const width = y.shape[1] as number;
      const out = (x as typeof y).data;
      out.fill(0);
      for (let row = 0; row < indices.data.length; row++) {
        const target = indices.data[row] as number;
        if (target < 0) continue;
        checkIndex('scatterAddRows', target, row, out.length / width);
        const [from, to] = [row * width, target * width];
        for (let c = 0; c < width; c++) out[to + c] = (out[to + c] as number) + (y.data[from + c] as number);
      }
    },
  }),
  gradient: ({ inputs, grads }) => ({ y: gatherOp({ x: grads.x, indices: inputs.indices }, {}).y }),
});

const gatherOp: Gather = defineOp({
  name: 'GatherRows',
  outputs: ['y'],
  integers: ['indices'],
  portable: ({ x, indices }) => {
    const found = tf.gather(x, tf.cast(tf.maximum(indices, 0), 'int32'));
    const isRow = tf.expandDims(tf.greaterEqual(indices, 0), -1);
    return { y: tf.where(isRow, found, tf.zerosLike(found)) };
  },
  kernels: hostKernel({
    outputs: ({ x, indices }) => [{ shape: [indices.shape[0] as number, x.shape[1] as number] }],
    run: ({ x, indices }, [y]) => {
      const width = x.shape[1] as number;
      const out = (y as typeof x).data;
      for (let row = 0; row < indices.data.length; row++) {
        const source = indices.data[row] as number;
        checkIndex('gatherRows', source, row, x.shape[0] as number);
        if (source < 0) out.fill(0, row * width, (row + 1) * width);
        else out.set(x.data.subarray(source * width, (source + 1) * width), row * width);
      }
    },
  }),
  gradient: ({ inputs, grads }) => ({
    x: scatterOp({ y: grads.y, indices: inputs.indices }, { rows: inputs.x.shape[0] as number }).x,
  }),
});

/**
 * Rows of `x` by index; an index of −1 gives a row of zeros. Indices must be below R: host backends
 * check them; on WebGPU that would mean to read them back, and what lies beyond is undefined.
 *
 * @param x [R, …] float32
 * @param indices [N] int32
 * @returns [N, …]
 */
export function gatherRows(x: Tensor, indices: Tensor): Tensor {
  checkIndices('gatherRows', indices);
  const [rows = 0, ...rest] = x.shape;
  const width = sizeOf(rest);
  const { y } = gatherOp({ x: tf.reshape(x, [rows, width]), indices }, {});
  return tf.reshape(y, [indices.size, ...rest]);
}

/**
 * The transpose of {@link gatherRows}: adds row n of `y` to row `indices[n]` of a zero tensor, in the order of n.
 *
 * @param y [N, …] float32
 * @param indices [N] int32; −1 drops the row
 * @param rows R
 * @returns [R, …]
 */
export function scatterAddRows(y: Tensor, indices: Tensor, rows: number): Tensor {
  checkIndices('scatterAddRows', indices);
  checkShapes('scatterAddRows', { indices: [indices, [y.shape[0] ?? 0]] });
  const rest = y.shape.slice(1);
  const width = sizeOf(rest);
  const { x } = scatterOp({ y: tf.reshape(y, [indices.size, width]), indices }, { rows });
  return tf.reshape(x, [rows, ...rest]);
}

function checkIndices(where: string, indices: Tensor): void {
  if (indices.rank === 1 && indices.dtype === 'int32') return;
  throw new MnemixError({
    code: 'shape',
    where: `${where}(indices)`,
    message: `expected an int32 tensor [N], found ${indices.dtype} [${indices.shape.join(', ')}].`,
    fix: "Pass indices as a rank-1 tensor of dtype 'int32'.",
  });
}

function checkIndex(where: string, index: number, position: number, rows: number): void {
  if (index < rows) return;
  throw new MnemixError({
    code: 'value',
    where: `${where}(indices)[${position}]`,
    message: `index ${index} is outside of ${rows} rows.`,
    fix: `Use indices from 0 to ${rows - 1}, or −1 for none; as token ids, they must be below the vocabulary size.`,
  });
}
