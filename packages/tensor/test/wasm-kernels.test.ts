// The kernels that replace tfjs's own on WASM, held against the CPU backend.
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as m from '../src/index.ts';
import { host, leaked } from './support.ts';

const normal = (shape: number[], label = 0): m.Tensor => m.Rng.of(4).fold(label).normal(shape);

/** Runs `f` on both backends: values and shape of what it returns. */
async function onBoth(f: () => m.Tensor | m.Tensor[]): Promise<[found: m.Tensor[], expected: m.Tensor[]]> {
  const runs: m.Tensor[][] = [];
  for (const backend of ['wasm', 'cpu'] as const) {
    await m.openBackend(backend);
    const made = f();
    runs.push(
      (Array.isArray(made) ? made : [made]).map((x) => tf.tensor(Array.from(x.dataSync()), x.shape, x.dtype)),
    );
  }
  return runs as [m.Tensor[], m.Tensor[]];
}

async function expectSame(f: () => m.Tensor | m.Tensor[], tolerance = 1e-6): Promise<void> {
  const [found, expected] = await onBoth(f);
  expect(found.map((x) => x.shape)).toEqual(expected.map((x) => x.shape));
  found.forEach((x, i) => {
    if (x.size > 0)
      expect({ shape: x.shape, data: host(x) }).toBeCloseRms(
        { shape: x.shape, data: host(expected[i] as m.Tensor) },
        tolerance,
      );
  });
}

describe('kernels on WASM', () => {
  beforeAll(async () => void (await m.openBackend('wasm')));
  afterAll(() => m.closeBackend());

  describe('matMul', () => {
    const transposes = [
      [false, false],
      [true, false],
      [false, true],
      [true, true],
    ] as const;
    // Plain, odd, one row (below the threshold), batches, few rows in a batch, empty.
    const sizes = [
      { a: [], b: [], m: 33, k: 17, n: 9 },
      { a: [], b: [], m: 1, k: 40, n: 70 },
      { a: [], b: [], m: 40, k: 1, n: 1 },
      { a: [3], b: [3], m: 20, k: 16, n: 12 },
      { a: [3], b: [3], m: 2, k: 5, n: 3 },
      { a: [5], b: [1], m: 9, k: 16, n: 15 },
      { a: [1], b: [4], m: 16, k: 16, n: 16 },
      { a: [2, 3], b: [2, 3], m: 8, k: 16, n: 20 },
      { a: [2, 1], b: [1, 3], m: 4, k: 5, n: 6 },
      { a: [2, 1], b: [3], m: 16, k: 12, n: 11 },
      { a: [], b: [2], m: 10, k: 16, n: 16 },
      { a: [2], b: [2], m: 3, k: 0, n: 4 },
      { a: [0], b: [0], m: 3, k: 2, n: 4 },
      { a: [], b: [], m: 0, k: 3, n: 4 },
    ];
    it.each(sizes.flatMap((size) => transposes.map(([tA, tB]) => ({ ...size, tA, tB }))))(
      '$a [$m,$k] · $b [$k,$n], transposed: $tA, $tB',
      async ({ a, b, m: rows, k, n, tA, tB }) => {
        await expectSame(() => {
          const x = normal([...a, ...(tA ? [k, rows] : [rows, k])], 1);
          const y = normal([...b, ...(tB ? [n, k] : [k, n])], 2);
          return m.matMul(x, y, tA, tB);
        });
      },
    );

    it('says which shapes do not fit', async () => {
      await m.openBackend('wasm');
      const [x, y] = [normal([3, 4]), normal([5, 6])];
      expect(() => m.matMul(x, y)).toThrow(
        /matMul\(b\): expected shape \[inner=4, columns\], found \[5, 6\]/,
      );
      expect(() => m.matMul(x, m.ones([4]))).toThrow(expect.objectContaining({ code: 'shape' }));
      expect(() => m.matMul(normal([2, 3, 4]), normal([3, 4, 5]))).toThrow(/matMul.*cannot be broadcast/);
      expect(() => tf.matMul(x as m.Tensor2D, y as m.Tensor2D)).toThrow(
        expect.objectContaining({ name: 'MnemixError', code: 'shape' }),
      );
    });

    it('leaves no memory behind', async () => {
      await m.openBackend('wasm');
      const [x, y] = [normal([3, 20, 16]), normal([3, 20, 12])];
      expect(leaked(() => m.matMul(x, y, true))).toBe(0);
      const ids = () => (tf.backend() as unknown as { numDataIds(): number }).numDataIds();
      const before = ids();
      for (let i = 0; i < 5; i++) m.matMul(x, y, true).dispose();
      expect(ids()).toBe(before);
    });
  });

  describe('copies', () => {
    const shape = [2, 3, 4, 2, 3, 2];
    it.each([1, 2, 3, 4, 5, 6])('slice at rank %d', async (rank) => {
      const sizes = shape.slice(0, rank);
      for (let axis = 0; axis < rank; axis++) {
        await expectSame(() =>
          m.slice(
            normal(sizes),
            sizes.map((_, i) => (i === axis ? 1 : 0)),
            sizes.map((size, i) => (i === axis ? size - 1 : size)),
          ),
        );
      }
    });

    it('slice of long rows, of integers and of nothing', async () => {
      await expectSame(() => m.slice(normal([5, 60]), [1, 7], [3, 40]));
      await expectSame(() => m.slice(m.reshape(m.range(0, 24, 1, 'int32'), [4, 6]), [1, 2], [2, 3]));
      await expectSame(() => m.slice(normal([4, 3]), [2, 0], [0, 3]));
    });

    it('slice refuses what lies outside', async () => {
      await m.openBackend('wasm');
      expect(() => m.slice(normal([2, 3]), [1, 1], [2, 1])).toThrow();
    });

    it.each([0, 1, 2, 3, -1])('unstack and split along axis %d', async (axis) => {
      await expectSame(() => m.unstack(normal([2, 3, 4, 5]), axis));
      await expectSame(() => m.split(normal([4, 4, 4, 4]), [1, 3], axis));
      await expectSame(() => m.split(normal([4, 4, 4, 4]), 2, axis));
    });

    it.each([
      [
        [3, 1],
        [1, 40],
      ],
      [
        [1, 5],
        [4, 1],
      ],
      [
        [2, 3, 2],
        [2, 1, 3],
      ],
      [
        [2, 30],
        [2, 2],
      ],
      [[3], [2]],
      [
        [2, 0],
        [2, 3],
      ],
      [
        [2, 3],
        [0, 1],
      ],
    ])('tile %j by %j', (sizes, reps) => expectSame(() => m.tile(normal(sizes), reps)));

    it.each([[[0]], [[1]], [[2]], [[0, 2]], [[0, 1, 2]], [[-1]]])('reverse along %j', (axes) =>
      expectSame(() => m.reverse(normal([3, 4, 30]), axes)),
    );

    it.each([
      [
        [70, 33],
        [1, 0],
      ],
      [
        [1, 5],
        [1, 0],
      ],
      [
        [40, 3, 2],
        [2, 0, 1],
      ],
      [
        [2, 3, 4, 5],
        [0, 3, 1, 2],
      ],
    ])('transpose %j to %j', (sizes, order) => expectSame(() => m.transpose(normal(sizes), order)));

    it('broadcasts a condition', () =>
      expectSame(() => m.where(m.greater(normal([6, 1]), 0), normal([6, 50], 1), normal([50], 2))));
  });

  describe('copies that change nothing', () => {
    const buffers = () => (tf.backend() as unknown as { numDataIds(): number }).numDataIds();

    it.each([[[0, 1, 2, 3, 4]], [[4, 3, 2, 1, 0]], [[2, 0, 4, 1, 3]]])(
      'share their numbers until the last is freed: %j',
      async (order) => {
        await m.openBackend('wasm');
        const [ids, { numDataBuffers }] = [buffers(), m.memory()];
        const x = m.tensor2d([[1, -2, 3]]);
        const same = [x.clone(), m.cast(x, 'float32'), m.transpose(x), m.slice(x, [0, 0], [1, 3])];
        const all = [x, ...same];
        expect(all.map((one) => one.shape)).toEqual([
          [1, 3],
          [1, 3],
          [1, 3],
          [3, 1],
          [1, 3],
        ]);
        expect([buffers(), m.memory().numDataBuffers]).toEqual([ids + 1, numDataBuffers + 1]);
        order.forEach((next, i) => {
          all[next]?.dispose();
          for (const left of order.slice(i + 1)) expect(host(all[left] as m.Tensor)).toEqual([1, -2, 3]);
        });
        expect([buffers(), m.memory().numDataBuffers]).toEqual([ids, numDataBuffers]);
      },
    );

    it('have gradients of their own, and leave nothing behind', async () => {
      await m.openBackend('wasm');
      const before = buffers();
      const p = m.tensor1d([1, -2, 3]);
      const square = m.valueAndGrad((x: m.Tensor) => {
        const copy = x.clone();
        const value = m.sum(m.mul(m.mul(copy, x), m.cast(copy, 'float32'))) as m.Scalar;
        copy.dispose();
        return { value };
      });
      const { value, grads } = square(p);
      p.dispose();
      expect([host(value), host(grads)]).toEqual([[20], [3, 12, 27]]);
      m.disposeTree([value, grads]);
      expect(buffers()).toBe(before);
    });

    it('move to another backend together', async () => {
      await m.openBackend('wasm');
      const x = m.tensor1d([1, 2]);
      const copy = x.clone();
      await m.openBackend('cpu');
      expect(host(m.add(x, 1))).toEqual([2, 3]);
      x.dispose();
      expect(host(m.add(copy, 1))).toEqual([2, 3]);
      await m.openBackend('wasm');
      expect(host(m.add(copy, 1))).toEqual([2, 3]);
    });
  });

  describe('elementwise functions', () => {
    const special = () =>
      m.tensor1d([
        0,
        -0,
        1e-30,
        -1e-30,
        1e-4,
        -1e-4,
        0.0099,
        0.0101,
        1,
        -1,
        12,
        -12,
        88,
        88.8,
        -87.5,
        -103,
        -105,
        1e30,
        -1e30,
        Infinity,
        -Infinity,
        NaN,
      ]);
    const dense = () => m.tensor1d(Float32Array.from({ length: 4001 }, (_, i) => (i - 2000) / 100));
    const exact = {
      exp: Math.exp,
      tanh: Math.tanh,
      sin: Math.sin,
      cos: Math.cos,
      softplus: (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
    };

    it.each(Object.entries(exact))(
      '%s is right to the last bit or the one before',
      async (name, reference) => {
        await m.openBackend('wasm');
        const op = m[name as keyof typeof exact];
        for (const x of [dense(), ...(name === 'sin' || name === 'cos' ? [] : [special()])]) {
          const found = host(op(x));
          host(x).forEach((value, i) => {
            const expected = Math.fround(reference(value));
            if (!Number.isFinite(expected)) expect(found[i], `${name}(${value})`).toBe(expected);
            else
              expect(Math.abs((found[i] as number) - expected), `${name}(${value})`).toBeLessThanOrEqual(
                Math.max(Math.abs(expected) * 1.2e-7, 1.5e-45),
              );
          });
        }
      },
    );
  });

  describe('sums', () => {
    it.each([
      [[0], false],
      [[0], true],
      [[0, 1], false],
      [[1], false],
      [[0, 2], true],
      [[-1], false],
    ])('over axes %j, kept: %s', async (axes, keep) => {
      await expectSame(() => m.sum(normal([7, 3, 5]), axes, keep));
      await expectSame(() => m.mean(normal([7, 3, 5]), axes, keep));
    });

    it('over rows do not lose small terms', async () => {
      await m.openBackend('wasm');
      const x = m.concat([m.add(m.zeros([1, 2]), 2 ** 24), m.ones([100, 2])], 0);
      expect(host(m.sum(x, 0))).toEqual([2 ** 24 + 100, 2 ** 24 + 100]);
    });

    it('by segment, which tfjs cannot do on WASM', async () => {
      await expectSame(() =>
        tf.unsortedSegmentSum(
          normal([6, 2, 3]) as never,
          m.tensor1d([2, 0, 2, 1, -1, 2], 'int32') as never,
          4,
        ),
      );
      await m.openBackend('wasm');
      expect(
        host(
          tf.unsortedSegmentSum(m.tensor1d([1, 2, 4]) as never, m.tensor1d([1, 1, 0], 'int32') as never, 3),
        ),
      ).toEqual([4, 3, 0]);
    });
  });
});
