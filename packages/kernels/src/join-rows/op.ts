// Joining and splitting along the first axis as ops.
import { concat, defineOp, split, type Tensor } from '@mnemix/tensor';
import { byCount } from '../by-count.ts';
import * as gpu from './gpu.ts';
import { named, namesOf, type Parts } from './parts.ts';

interface Attrs {
  /** Of each part. */
  readonly rows: readonly number[];
}

const splitOp = byCount((count) =>
  defineOp<{ x: Tensor }, Parts, Attrs>({
    name: `SplitRows${count}`,
    outputs: namesOf(count),
    portable: ({ x }, { rows }) => named(split(x, [...rows])),
    kernels: gpu.splitRows,
  }),
);

/** The rows of x for each of these parts, for gradients: it has none of its own. */
export const splitLike = (x: Tensor, parts: readonly Tensor[]): Parts =>
  splitOp(parts.length)({ x }, { rows: parts.map(({ shape }) => shape[0] as number) });

export const joinOp = defineOp<Parts, { y: Tensor }, object>({
  name: 'JoinRows',
  outputs: ['y'],
  portable: (parts) => ({ y: concat(Object.values(parts), 0) }),
  kernels: gpu.joinRows,
  gradient: ({ inputs, grads }) => splitLike(grads.y, Object.values(inputs)),
});
