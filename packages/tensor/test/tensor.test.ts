import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { expect, it } from 'vitest';
import * as m from '../src/index.ts';

it('takes gradients over a parameter tree', async () => {
  await tf.setBackend('cpu');
  const params = { w: m.tensor2d([[1, 2], [3, 4]]), b: { c: m.tensor1d([1, 1]) }, unused: m.scalar(1) };
  const x = m.tensor2d([[1, 1]]);
  const { value, grads, aux } = m.valueAndGrad((p: typeof params) => {
    const y = m.add(m.matMul(x, p.w), p.b.c);
    return { value: m.sum(m.square(y)) as m.Scalar, aux: { y } };
  })(params);
  expect(value.dataSync()[0]).toBe(74);
  expect([...grads.w.dataSync()]).toEqual([10, 14, 10, 14]);
  expect([...grads.unused.dataSync()]).toEqual([0]);
  expect([...aux.y.dataSync()]).toEqual([5, 7]);
});
