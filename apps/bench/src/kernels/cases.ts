// What is measured: an op, a shape, a variant, and how its result is checked.
import { disposeTree, matMul, tensor, withStockKernels, type Precision, type Tensor } from '@mnemix/tensor';

/** A case that is ready to run. */
export interface Prepared {
  readonly ours: () => Tensor;
  /** The same without a kernel of ours. */
  readonly stock: () => Tensor;
  /** Floating-point operations of one run, a multiply-add being two. */
  readonly flops: number;
  /** Bytes that one run has to read and write at least. */
  readonly bytes: number;
  /** Relative RMS error of a result against float64, over some of its entries. */
  readonly errorOf: (result: Tensor) => Promise<number>;
  readonly dispose: () => void;
}

export interface KernelCase {
  readonly op: string;
  readonly shape: string;
  readonly variant: string;
  /** The backend must have been opened for this. */
  readonly precision: Precision;
  readonly prepare: () => Prepared;
}

interface Product {
  readonly batch?: number;
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
}

/** Squares, and a wide layer with its gradients. */
const LARGE: readonly Product[] = [
  { m: 2048, k: 2048, n: 2048 },
  { m: 4096, k: 4096, n: 4096 },
  { m: 4096, k: 4096, n: 4096, transposeA: true },
  { m: 4096, k: 4096, n: 4096, transposeB: true },
  { m: 4095, k: 4095, n: 4095 },
  { m: 16_384, k: 1024, n: 1024 },
  { m: 16_384, k: 1024, n: 1024, transposeB: true },
  { m: 1024, k: 16_384, n: 1024, transposeA: true },
  { batch: 8, m: 1000, k: 600, n: 520, transposeB: true },
];

/** Smaller squares, a narrow layer and its weight's gradient, heads, one token. */
const SMALL: readonly Product[] = [
  { m: 512, k: 512, n: 512 },
  { m: 1024, k: 1024, n: 1024 },
  { m: 16_384, k: 64, n: 64 },
  { m: 64, k: 16_384, n: 64, transposeA: true },
  { batch: 256, m: 64, k: 64, n: 64, transposeB: true },
  { m: 1, k: 1024, n: 1024 },
];

/** Small enough for a software adapter. */
const TINY: readonly Product[] = [
  { m: 33, k: 40, n: 36 },
  { m: 24, k: 40, n: 20, transposeA: true, transposeB: true },
];

const SAMPLES = 400;

export const kernelCases = (quick: boolean): readonly KernelCase[] => [
  ...(quick ? TINY : [...LARGE, ...SMALL]).map((product) => productCase(product, 'float32')),
  // Small products are the same in both.
  ...(quick ? TINY : LARGE).map((product) => productCase(product, 'mixed')),
];

function productCase(product: Product, precision: Precision): KernelCase {
  const { batch = 1, m, k, n, transposeA = false, transposeB = false } = product;
  const [left, right] = [transposeA ? [k, m] : [m, k], transposeB ? [n, k] : [k, n]];
  const name = (shape: number[], transposed: boolean): string => shape.join('×') + (transposed ? 'ᵀ' : '');
  return {
    op: 'matMul',
    shape: `${batch === 1 ? '' : `${batch} of `}${name(left, transposeA)} · ${name(right, transposeB)}`,
    variant: precision,
    precision,
    prepare: () => {
      const outer = batch === 1 ? [] : [batch];
      const [valuesA, valuesB] = [noise(1, batch * m * k), noise(2, batch * k * n)];
      const [a, b] = [tensor(valuesA, [...outer, ...left]), tensor(valuesB, [...outer, ...right])];
      const run = (): Tensor => matMul(a, b, transposeA, transposeB);
      const entry = (index: number): number => {
        const [matrix, row, column] = [Math.floor(index / (m * n)), Math.floor(index / n) % m, index % n];
        let sum = 0;
        for (let i = 0; i < k; i++) {
          const x = valuesA[matrix * m * k + (transposeA ? i * m + row : row * k + i)] as number;
          const y = valuesB[matrix * k * n + (transposeB ? column * k + i : i * n + column)] as number;
          sum += x * y;
        }
        return sum;
      };
      return {
        ours: run,
        stock: () => withStockKernels(run),
        flops: 2 * batch * m * k * n,
        bytes: 4 * batch * (m * k + k * n + m * n),
        errorOf: async (result) => sampledError(await result.data<'float32'>(), entry),
        dispose: () => disposeTree({ a, b }),
      };
    },
  };
}

/** Values between −1 and 1, quickly: a linear congruential generator (Numerical Recipes'). */
function noise(seed: number, count: number): Float32Array {
  const values = new Float32Array(count);
  let state = seed;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    values[i] = state / 2 ** 31;
  }
  return values;
}

/** Over entries spread evenly, the first and the last among them. */
function sampledError(found: Float32Array, entry: (index: number) => number): number {
  const last = found.length - 1;
  let [errors, squares] = [0, 0];
  for (let i = 0; i < SAMPLES; i++) {
    const index = Math.round((i * last) / (SAMPLES - 1));
    const wanted = entry(index);
    errors += ((found[index] as number) - wanted) ** 2;
    squares += wanted ** 2;
  }
  return Math.sqrt(errors / squares);
}
