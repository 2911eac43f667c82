// The traps of docs/traps.md that are not tested elsewhere, by their numbers there.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as m from '../src/index.ts';
import { host, onHostBackends } from './support.ts';

const root = join(import.meta.dirname, '..');
const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => ({ file, text: readFileSync(join(root, 'src', file), 'utf8') }));
const files = (pattern: RegExp) => sources.filter(({ text }) => pattern.test(text)).map(({ file }) => file);

onHostBackends('traps', (backend) => {
  beforeAll(async () => void (await m.openBackend(backend)));
  afterAll(() => m.closeBackend());

  it('1: the gradient of a running sum is right along every axis, also of a cube', () => {
    const w = m.reshape(m.range(1, 28, 1, 'float32'), [3, 3, 3]);
    for (const axis of [0, 1, 2]) {
      const loss = (p: m.Tensor) => ({ value: m.sum(m.mul(m.cumsum(p, axis), w)) as m.Scalar });
      const { grads } = m.valueAndGrad(loss)(m.ones([3, 3, 3]));
      expect(host(grads)).toEqual(host(m.cumsum(w, axis, { reverse: true })));
    }
  });

  it('14: oneHot gives ones, not the bits of an integer', () => {
    expect(host(m.sum(m.oneHot(m.tensor1d([0, 1, 2], 'int32'), 3)))).toEqual([3]);
  });

  it('15: batches that broadcast both ways give all products', () => {
    const y = m.matMul(m.ones([2, 1, 4, 5]), m.ones([1, 3, 5, 6]));
    expect(y.shape).toEqual([2, 3, 4, 6]);
    expect(host(y)).toEqual(new Array(144).fill(5));
  });
});

describe('traps', () => {
  it('5: no source reads a tensor synchronously', () => {
    expect(files(/\.(dataSync|arraySync)\(/)).toEqual([]);
  });

  it('6, 7: gradients are ours: no source imports a path of tfjs that Node cannot', () => {
    expect(files(/from '@tensorflow\/[\w-]+\//)).toEqual([]);
  });

  it('9: there is one tfjs-core, the user’s', () => {
    const { dependencies, peerDependencies } = JSON.parse(
      readFileSync(join(root, 'package.json'), 'utf8'),
    ) as Record<string, Record<string, string>>;
    expect(dependencies).not.toHaveProperty('@tensorflow/tfjs-core');
    expect(peerDependencies).toHaveProperty('@tensorflow/tfjs-core', '4.22.0');
  });

  it('12: nothing is left behind by two thousand steps', async () => {
    await m.openBackend('wasm');
    let params = { w: m.Rng.of(1).normal([4, 4]) };
    const x = m.Rng.of(2).normal([8, 4]);
    const train = m.valueAndGrad((p: typeof params) => ({
      value: m.mean(m.square(m.tanh(m.matMul(x, p.w)))) as m.Scalar,
    }));
    const step = () => {
      const next = m.tidy(() => {
        const { grads } = train(params);
        return { w: m.sub(params.w, m.mul(grads.w, 0.1)) };
      });
      m.disposeTree(params);
      params = next;
    };
    step();
    const { numTensors, numBytes, numDataBuffers } = m.memory();
    for (let i = 0; i < 2000; i++) step();
    expect(m.memory()).toMatchObject({ numTensors, numBytes, numDataBuffers });
    await m.closeBackend();
  });

  it('16: a product does not see what is written into its second operand in place, so no kernel may do that', async () => {
    await m.openBackend('wasm');
    const [a, b] = [m.ones([9, 16]), m.ones([16, 16])];
    const product = () => host(m.matMul(a, b))[0];
    expect(product()).toBe(16);
    m.hostView(tf.backend(), b).data.fill(2);
    expect(product()).toBe(16);
    await m.closeBackend();
  });

  it('29: one buffer in two shapes can be the second operand of products', async () => {
    await m.openBackend('wasm');
    const flat = m.tensor(
      Float32Array.from({ length: 96 }, (_, i) => i % 7),
      [12, 8],
    ) as m.Tensor2D;
    const turned = m.reshape(flat, [8, 12]);
    const of = (a: m.Tensor, b: m.Tensor2D): number[] => [...host(m.matMul(a, b))];
    for (const b of [flat, turned, flat] as m.Tensor2D[]) {
      const [k, n] = b.shape;
      const column = Array.from({ length: n }, (_, j) =>
        Array.from({ length: k }, (__, i) => host(b)[i * n + j]!).reduce((total, x) => total + x, 0),
      );
      expect(of(m.ones([9, k]), b)).toEqual(Array.from({ length: 9 }, () => column).flat());
    }
    await m.closeBackend();
  });
});
