// The inverse of the copies' positions: what lies in each bucket row. The one step of the plan that has to
// scatter.
import {
  add,
  cast,
  defineOp,
  range,
  reshape,
  scatterAddRows,
  slice,
  stack,
  sub,
  zeros,
  type Tensor,
} from '@mnemix/tensor';
import * as gpu from './gpu.ts';

export type Inputs = {
  /** Bucket row of each copy, −1 for none, int32 [R, K]. */
  position: Tensor;
  /** Bucket of each copy, int32 [R, K]. */
  bucket: Tensor;
  /** Bucket rows that are taken, int32 []. */
  total: Tensor;
};
export type Outputs = { source: Tensor; rowBucket: Tensor };

const invertOp = defineOp<Inputs, Outputs, object>({
  name: 'InvertPositions',
  outputs: ['source', 'rowBucket'],
  integers: ['position', 'bucket', 'total'],
  portable: ({ position, bucket }) => {
    const [rows = 0, chosen = 0] = position.shape;
    const copies = rows * chosen;
    const row = reshape(add(zeros([rows, chosen]), reshape(range(0, rows), [rows, 1])), [copies]);
    // One more than the value: rows that nothing is added to become −1.
    const values = add(stack([row, reshape(cast(bucket, 'float32'), [copies])], 1), 1);
    const found = cast(sub(scatterAddRows(values, reshape(position, [copies]), copies), 1), 'int32');
    const column = (i: number) => reshape(slice(found, [0, i], [copies, 1]), [copies]);
    return { source: column(0), rowBucket: column(1) };
  },
  kernels: gpu.invert,
});

/**
 * For each bucket row: the token row that lies there, and its bucket; −1 where nothing lies. Both int32
 * [R·K].
 */
export const invertPositions = (position: Tensor, bucket: Tensor, total: Tensor): Outputs =>
  invertOp({ position, bucket, total }, {});
