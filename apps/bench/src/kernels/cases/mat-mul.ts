// Matrix products: squares, a wide layer with its gradients, a narrow one, heads, one token.
import { matMul, tensor, type Tensor } from '@mnemix/tensor';
import { bytesOf, freeInputs, type CaseOptions, type KernelCase } from '../case.ts';
import { noise, sampledError } from '../data.ts';

interface Product {
  readonly batch?: number;
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
}

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

/** The same in both precisions. */
const SMALL: readonly Product[] = [
  { m: 512, k: 512, n: 512 },
  { m: 1024, k: 1024, n: 1024 },
  { m: 16_384, k: 64, n: 64 },
  { m: 64, k: 16_384, n: 64, transposeA: true },
  { batch: 256, m: 64, k: 64, n: 64, transposeB: true },
  { m: 1, k: 1024, n: 1024 },
];

const TINY: readonly Product[] = [
  { m: 33, k: 40, n: 36 },
  { m: 24, k: 40, n: 20, transposeA: true, transposeB: true },
];

export const matMulCases = ({ quick }: CaseOptions): readonly KernelCase[] =>
  quick
    ? TINY.map((product) => productCase(product, ['float32', 'mixed']))
    : [
        ...LARGE.map((product) => productCase(product, ['float32', 'mixed'])),
        ...SMALL.map((product) => productCase(product, ['float32'])),
      ];

function productCase(product: Product, precisions: KernelCase['precisions']): KernelCase {
  const { batch = 1, m, k, n, transposeA = false, transposeB = false } = product;
  const [left, right] = [transposeA ? [k, m] : [m, k], transposeB ? [n, k] : [k, n]];
  const name = (shape: number[], transposed: boolean): string => shape.join('×') + (transposed ? 'ᵀ' : '');
  return {
    family: 'matMul',
    op: 'matMul',
    shape: `${batch === 1 ? '' : `${batch} of `}${name(left, transposeA)} · ${name(right, transposeB)}`,
    precisions,
    prepare: () => {
      const outer = batch === 1 ? [] : [batch];
      const [a, b] = [noise(1, batch * m * k), noise(2, batch * k * n)];
      const inputs = { a: tensor(a, [...outer, ...left]), b: tensor(b, [...outer, ...right]) };
      const entry = (index: number): number => {
        const [matrix, row, column] = [Math.floor(index / (m * n)), Math.floor(index / n) % m, index % n];
        let sum = 0;
        for (let i = 0; i < k; i++) {
          const x = a[matrix * m * k + (transposeA ? i * m + row : row * k + i)] as number;
          const y = b[matrix * k * n + (transposeB ? column * k + i : i * n + column)] as number;
          sum += x * y;
        }
        return sum;
      };
      return {
        inputs,
        run: (given) => matMul(given.a as Tensor, given.b as Tensor, transposeA, transposeB),
        // Its gradients are products too, and among these.
        cost: { forward: { flops: 2 * batch * m * k * n, bytes: bytesOf(inputs, batch * m * n) } },
        errorOf: (found) => sampledError(found, entry),
        dispose: freeInputs(inputs),
      };
    },
  };
}
