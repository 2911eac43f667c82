import { beforeAll, expect, it } from 'vitest';
import * as m from '../src/index.ts';
import { host, onHostBackends } from './support.ts';

onHostBackends('topK', (backend) => {
  beforeAll(async () => void (await m.openBackend(backend)));

  it('gives the largest first, with their indices', () => {
    const { values, indices } = m.topK(
      m.tensor2d([
        [1, 5, 3],
        [9, 7, 8],
      ]),
      2,
    );
    expect([values.shape, indices.dtype]).toEqual([[2, 2], 'int32']);
    expect([host(values), host(indices)]).toEqual([
      [5, 3, 9, 8],
      [1, 2, 0, 2],
    ]);
  });

  it('breaks ties towards the lowest index', () => {
    expect(host(m.topK(m.tensor1d([2, 7, 7, 2, 7]), 4).indices)).toEqual([1, 2, 4, 0]);
    expect(host(m.topK(m.zeros([2, 3]), 3).indices)).toEqual([0, 1, 2, 0, 1, 2]);
  });

  it('never picks an entry twice, also among −∞', () => {
    const { values, indices } = m.topK(m.tensor1d([-Infinity, 4, -Infinity]), 3);
    expect(host(indices)).toEqual([1, 0, 2]);
    expect(host(values)).toEqual([4, -Infinity, -Infinity]);
  });

  it('works on any rank', () => {
    const { values } = m.topK(m.tensor([4, 1, 3, 2, 8, 5, 6, 7], [2, 2, 2]), 1);
    expect([values.shape, host(values)]).toEqual([
      [2, 2, 1],
      [4, 3, 8, 7],
    ]);
  });

  it('sends the gradient to the chosen entries alone', () => {
    const { grads } = m.valueAndGrad((p: m.Tensor) => ({
      value: m.sum(m.mul(m.topK(p, 2).values, m.tensor1d([10, 1]))) as m.Scalar,
    }))(
      m.tensor2d([
        [1, 5, 3],
        [9, 7, 8],
      ]),
    );
    expect(host(grads)).toEqual([0, 10, 1, 10, 0, 1]);
  });

  it('agrees with a sort', () => {
    const x = m.Rng.of(3).integers(60, 0, 6);
    const { values, indices } = m.topK(m.tensor(Float32Array.from(x), [12, 5]), 3);
    const rows = Array.from({ length: 12 }, (_, row) =>
      Array.from(x.slice(row * 5, row * 5 + 5))
        .map((value, i) => ({ value, i }))
        .sort((p, q) => q.value - p.value || p.i - q.i)
        .slice(0, 3),
    );
    expect(host(values)).toEqual(rows.flat().map(({ value }) => value));
    expect(host(indices)).toEqual(rows.flat().map(({ i }) => i));
  });

  it.each([0, 4, 1.5])('refuses k = %d of three entries', (k) => {
    expect(() => m.topK(m.zeros([2, 3]), k)).toThrow(
      expect.objectContaining({ code: 'config', where: 'topK(k)' }),
    );
  });
});

onHostBackends('oneHot', (backend) => {
  beforeAll(async () => void (await m.openBackend(backend)));

  it('gives float32 ones, zeros for an index outside, and takes a depth of 1', () => {
    const y = m.oneHot(
      m.tensor2d(
        [
          [0, 2],
          [-1, 3],
        ],
        [2, 2],
        'int32',
      ),
      3,
    );
    expect([y.shape, y.dtype]).toEqual([[2, 2, 3], 'float32']);
    expect(host(y)).toEqual([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    expect(host(m.oneHot(m.tensor1d([0, 1], 'int32'), 1))).toEqual([1, 0]);
  });
});
