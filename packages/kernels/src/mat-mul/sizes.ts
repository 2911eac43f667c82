// The sizes of a product of batches of matrices, y = act(A·B + bias), as its kernels receive them.
import { MnemixError } from '@mnemix/tensor';
import { f32, u32, type Uniform } from '../gpu/kernel.ts';

/** How an operand lies in memory: its matrices one after the other, each by rows. */
export interface Operand {
  /** k is its last axis. */
  readonly innerLast: boolean;
  /** Its last axis is a multiple of 4: it can be read in vectors. */
  readonly isVector: boolean;
  /** The matrices of its own batch. */
  readonly count: number;
  /** For each of four batch axes of y, how many matrices on its next one lies: 0 where it is repeated. */
  readonly steps: readonly number[];
}

export interface Product {
  /** m */
  readonly rows: number;
  /** n */
  readonly columns: number;
  /** k */
  readonly inner: number;
  /** The batch axes of y, padded to four. */
  readonly batch: readonly number[];
  /** Products of two matrices: the product of `batch`. */
  readonly batches: number;
  readonly a: Operand;
  readonly b: Operand;
  /** The shape of y. */
  readonly shape: readonly number[];
}

/** More would not fit the uniforms; tfjs's tensors have no more either. */
const BATCH_AXES = 4;

/**
 * @param a [..., m, k], or [..., k, m] transposed; batch axes of size 1 are repeated, as are those that are missing
 * @param b [..., k, n], or [..., n, k] transposed
 * @throws MnemixError `shape` where the operands do not fit
 */
export function productOf(
  a: readonly number[],
  b: readonly number[],
  { transposeA, transposeB }: { readonly transposeA: boolean; readonly transposeB: boolean },
): Product {
  const [[rows, inner], [innerB, columns]] = [matrix(a, transposeA), matrix(b, transposeB)];
  const [outerA, outerB] = [outer(a), outer(b)];
  const batch = outerA.map((size, axis) => (size === 1 ? (outerB[axis] as number) : size));
  const fits = outerB.every((size, axis) => size === 1 || size === batch[axis]);
  if (inner !== innerB || !fits) {
    throw new MnemixError({
      code: 'shape',
      where: 'matMul(a, b)',
      message: `shapes [${a.join(', ')}]${transposeA ? 'ᵀ' : ''} and [${b.join(', ')}]${transposeB ? 'ᵀ' : ''} do not fit.`,
      fix: 'Use matMul of @mnemix/tensor, which says what fits.',
    });
  }
  const rank = Math.max(a.length, b.length) - 2;
  return {
    rows,
    columns,
    inner,
    batch,
    batches: batch.reduce((x, y) => x * y, 1),
    a: operand(a, outerA, !transposeA),
    b: operand(b, outerB, transposeB),
    shape: [...batch.slice(BATCH_AXES - rank), rows, columns],
  };
}

const matrix = (shape: readonly number[], transposed: boolean): [number, number] => {
  const [first = 0, last = 0] = shape.slice(-2);
  return transposed ? [last, first] : [first, last];
};

const outer = (shape: readonly number[]): number[] => {
  const axes = shape.slice(0, -2);
  return [...Array<number>(BATCH_AXES - axes.length).fill(1), ...axes];
};

const operand = (shape: readonly number[], axes: readonly number[], innerLast: boolean): Operand => ({
  innerLast,
  isVector: (shape.at(-1) as number) % 4 === 0,
  count: axes.reduce((x, y) => x * y, 1),
  steps: axes.map((size, axis) => (size === 1 ? 0 : axes.slice(axis + 1).reduce((x, y) => x * y, 1))),
});

const BATCH_FIELDS = ['batch1', 'batch2', 'batch3'] as const;
const STEP_FIELDS = ['A', 'B'].flatMap((name) => [0, 1, 2, 3].map((axis) => `step${name}${axis}`));

/** `sizes`, as {@link uniformsOf} fills it, and `startsOf`: where the matrices of a product begin, x in A, y in B. */
export const sizesWgsl = (binding: number): string => `
struct Sizes {
  ${['rows', 'columns', 'inner', 'splitDepth', 'batches', ...BATCH_FIELDS, ...STEP_FIELDS].map((name) => `${name}: u32,`).join(' ')}
  alpha: f32,
  first: u32,
}
@group(0) @binding(${binding}) var<uniform> sizes: Sizes;

fn startsOf(batch: u32) -> vec2u {
  let inBatch3 = batch / sizes.batch3;
  let inBatch2 = inBatch3 / sizes.batch2;
  let at = vec4u(inBatch2 / sizes.batch1, inBatch2 % sizes.batch1, inBatch3 % sizes.batch2, batch % sizes.batch3);
  return vec2u(
    dot(at, vec4u(sizes.stepA0, sizes.stepA1, sizes.stepA2, sizes.stepA3)),
    dot(at, vec4u(sizes.stepB0, sizes.stepB1, sizes.stepB2, sizes.stepB3)),
  );
}`;

/**
 * @param splitDepth how much of k a workgroup goes through
 * @param inner k, as the operands have it in memory
 * @param sizeA elements of a matrix of A in memory
 * @param alpha the slope of `leakyrelu`
 * @param first the matrix of the batch that a dispatch begins with
 */
export const uniformsOf = (
  { rows, columns, batch, batches, a, b }: Product,
  {
    inner,
    splitDepth,
    sizeA,
    sizeB,
    alpha,
    first = 0,
  }: { inner: number; splitDepth: number; sizeA: number; sizeB: number; alpha: number; first?: number },
): Uniform[] => [
  ...[rows, columns, inner, splitDepth, batches, ...batch.slice(1)].map(u32),
  ...a.steps.map((step) => u32(step * sizeA)),
  ...b.steps.map((step) => u32(step * sizeB)),
  f32(alpha),
  u32(first),
];
