// The traps of docs/traps.md that only show on WebGPU and have no place in another suite.
import { afterAll, beforeAll, expect, it } from 'vitest';
import * as m from '../src/index.ts';
import { onWebgpu, read } from './support.ts';

onWebgpu('traps', (backend) => {
  beforeAll(() => m.openBackend(backend));
  afterAll(() => m.closeBackend());

  it('24: a reversed running sum is right for a second length of the same rank', async () => {
    for (const size of [3, 7, 5]) {
      const sums = await read(m.cumsum(m.ones([2, size]), -1, { reverse: true }));
      const row = Array.from({ length: size }, (_, i) => size - i);
      expect(sums).toEqual([...row, ...row]);
    }
  });

  it('24: so is the gradient of a forward one, which is a reversed sum', async () => {
    for (const size of [4, 6]) {
      const { grads } = m.valueAndGrad((x: m.Tensor) => ({ value: m.sum(m.cumsum(x, -1)) as m.Scalar }))(m.ones([1, size]));
      expect(await read(grads)).toEqual(Array.from({ length: size }, (_, i) => size - i));
    }
  });
});
