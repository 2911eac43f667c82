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
    expect(await read(m.transpose(mask, [2, 0, 1]))).toEqual([1, 1, 0, 0, 1, 0]);
  });

  it.each([2, 3, 4, 5, 6])('25: moved integers keep all of their digits at rank %d', async (rank) => {
    const shape = [3, 2, 1, 2, 3, 2].slice(0, rank);
    const size = shape.reduce((a, b) => a * b);
    const values = Int32Array.from({ length: size }, (_, i) => (i % 2 ? -1 : 1) * (2 ** 31 - 1 - i));
    const x = m.tensor(values, shape, 'int32');
    const moved = m.transpose(
      x,
      shape.map((_, axis) => (axis + 1) % rank),
    );
    const back = m.transpose(
      moved,
      shape.map((_, axis) => (axis + rank - 1) % rank),
    );
    expect(await read(moved)).not.toEqual(Array.from(values));
    expect(await read(back)).toEqual(Array.from(values));
  });

  it('25: a cast leaves nothing behind', () => {
    const x = m.tensor1d([1, 2], 'int32');
    const before = m.memory();
    m.tidy(() => void m.transpose(m.cast(m.reshape(x, [1, 1, 2]), 'float32'), [2, 0, 1]));
    expect(m.memory().numTensors).toBe(before.numTensors);
    expect(m.memory().numDataBuffers).toBe(before.numDataBuffers);
  });

  it('28: sine and cosine keep the digits of float32, at large angles too', async () => {
    for (const highest of [3, 50, 2000, 10_000]) {
      const angles = Float32Array.from({ length: 999 }, (_, i) => highest * (i / 499 - 1));
      const found = await Promise.all([m.sin(m.tensor1d(angles)), m.cos(m.tensor1d(angles))].map(read));
      angles.forEach((angle, i) => {
        expect(Math.abs(found[0]![i]! - Math.sin(angle)), `sin ${angle}`).toBeLessThan(3e-7);
        expect(Math.abs(found[1]![i]! - Math.cos(angle)), `cos ${angle}`).toBeLessThan(3e-7);
      });
    }
  });
});
