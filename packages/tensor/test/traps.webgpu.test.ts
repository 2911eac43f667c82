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
      const { grads } = m.valueAndGrad((x: m.Tensor) => ({ value: m.sum(m.cumsum(x, -1)) as m.Scalar }))(
        m.ones([1, size]),
      );
      expect(await read(grads)).toEqual(Array.from({ length: size }, (_, i) => size - i));
    }
  });

  it('25: booleans and integers can be cast to floats and moved', async () => {
    const mask = m.greater(
      m.tensor3d([
        [
          [1, -1, 2],
          [3, -4, -5],
        ],
      ]),
      0,
    );
    expect(await read(m.transpose(m.cast(mask, 'float32'), [0, 2, 1]))).toEqual([1, 1, 0, 0, 1, 0]);
    expect(await read(m.sum(m.cast(mask, 'float32'), 1))).toEqual([2, 0, 1]);
    const integers = m.tensor3d(
      [
        [
          [1, 2, 3],
          [4, 5, -6],
        ],
      ],
      undefined,
      'int32',
    );
    const moved = m.transpose(integers, [0, 2, 1]);
    expect(moved.dtype).toBe('int32');
    expect(await read(moved)).toEqual([1, 4, 2, 5, 3, -6]);
    expect(await read(m.sum(m.cast(integers, 'float32'), 1))).toEqual([5, 7, -3]);
  });

  it('25: a cast leaves nothing behind', () => {
    const x = m.tensor1d([1, 2], 'int32');
    const before = m.memory();
    m.tidy(() => void m.transpose(m.cast(m.reshape(x, [1, 1, 2]), 'float32'), [2, 0, 1]));
    expect(m.memory().numTensors).toBe(before.numTensors);
    expect(m.memory().numDataBuffers).toBe(before.numDataBuffers);
  });
});
