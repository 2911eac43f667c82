import { beforeAll, expect, it } from 'vitest';
import * as m from '../src/index.ts';
import { host, onHostBackends } from './support.ts';

onHostBackends('rows by index', (backend) => {
  beforeAll(async () => void (await m.openBackend(backend)));

  const x = () => m.tensor([1, 2, 3, 4, 5, 6], [3, 2]);
  const indices = () => m.tensor1d([2, -1, 0, 2], 'int32');

  it('are gathered, with zeros for −1', () => {
    expect(host(m.gatherRows(x(), indices()))).toEqual([5, 6, 0, 0, 1, 2, 5, 6]);
  });

  it('keep the other axes', () => {
    const y = m.gatherRows(
      m.reshape(m.range(0, 12, 1, 'float32'), [2, 3, 2]),
      m.tensor1d([1, 1, 0], 'int32'),
    );
    expect(y.shape).toEqual([3, 3, 2]);
    expect(host(y).slice(0, 6)).toEqual([6, 7, 8, 9, 10, 11]);
  });

  it('are added back, rows of −1 dropped', () => {
    const y = m.tensor([1, 1, 2, 2, 3, 3, 4, 4], [4, 2]);
    expect(host(m.scatterAddRows(y, indices(), 3))).toEqual([3, 3, 0, 0, 5, 5]);
  });

  it('may be none', () => {
    const none = m.tensor1d([], 'int32');
    expect(m.gatherRows(x(), none).shape).toEqual([0, 2]);
    expect(host(m.scatterAddRows(m.zeros([0, 2]), none, 2))).toEqual([0, 0, 0, 0]);
  });

  it('pass gradients both ways: each is the transpose of the other', () => {
    const dy = m.tensor([1, 2, 3, 4, 5, 6, 7, 8], [4, 2]);
    const gathered = m.valueAndGrad((p: m.Tensor) => ({
      value: m.sum(m.mul(m.gatherRows(p, indices()), dy)) as m.Scalar,
    }))(x());
    expect(host(gathered.grads)).toEqual([5, 6, 0, 0, 8, 10]);
    const scattered = m.valueAndGrad((p: m.Tensor) => ({
      value: m.sum(m.mul(m.scatterAddRows(p, indices(), 3), x())) as m.Scalar,
    }))(dy);
    expect(host(scattered.grads)).toEqual([5, 6, 0, 0, 1, 2, 5, 6]);
  });

  it('have the same gradient bit for bit on every run, whatever the order of the indices (trap 13)', () => {
    const rng = m.Rng.of(5);
    const table = rng.fold('table').normal([7, 33]);
    const ids = m.tensor1d(rng.fold('ids').integers(500, -1, 7), 'int32');
    const run = () => {
      const { grads } = m.valueAndGrad((p: m.Tensor) => ({
        value: m.sum(m.tanh(m.gatherRows(p, ids))) as m.Scalar,
      }))(table);
      return host(grads);
    };
    expect(run()).toEqual(run());
  });

  it('refuse indices that are not a list of integers', () => {
    expect(() => m.gatherRows(x(), m.tensor1d([0, 1]))).toThrow(
      expect.objectContaining({ code: 'shape', where: 'gatherRows(indices)' }),
    );
    expect(() => m.scatterAddRows(x(), m.tensor1d([0, 1], 'int32'), 3)).toThrow(
      /expected shape \[3\], found \[2\]/,
    );
  });
});

onHostBackends('an index beyond the rows', (backend) => {
  it('is refused by place and range, and leaves nothing behind', async () => {
    await m.openBackend(backend);
    const x = m.tensor2d([[1, 2]]);
    const indices = m.tensor1d([0, 1], 'int32');
    const before = m.memory();
    expect(() => m.tidy(() => m.gatherRows(x, indices))).toThrow(
      /gatherRows\(indices\)\[1\]: index 1 is outside of 1 rows/,
    );
    expect(() => m.tidy(() => m.scatterAddRows(m.ones([2, 2]), indices, 1))).toThrow(
      /scatterAddRows\(indices\)\[1\]/,
    );
    expect(m.memory().numDataBuffers).toBe(before.numDataBuffers);
  });
});
