import { adamWStep, nd, seededRandom, type NdArray } from '@mnemix/testkit';
import { memory, openBackend, scalar, tidy, zeros, type Tensor } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { adamW, globalNorm } from '../src/index.ts';
import { float32, toTensor } from './op-cases.ts';

describe.each(['cpu', 'wasm'] as const)('optimiser ops on %s', (backend) => {
  beforeAll(() => openBackend(backend));

  const options = { learningRate: 3e-2, beta1: 0.8, beta2: 0.95, epsilon: 1e-6, weightDecay: 0.1 };

  it.each([[1], [7], [3, 5], [2, 3, 11]])('adamW matches the oracle over steps for [%i, …]', (...shape) => {
    const random = seededRandom(5);
    let param = float32(random.normals(shape));
    let state: { step: number; mean: NdArray; meanSquare: NdArray } | undefined;
    let tensors = { param: toTensor(param), m: zeros(shape) as Tensor, v: zeros(shape) as Tensor };
    for (let step = 1; step <= 5; step++) {
      const grad = float32(random.normals(shape));
      const clipped = nd(
        shape,
        grad.data.map((g) => g * 0.25),
      );
      const wanted = adamWStep(param, clipped, state, options);
      ({ parameter: param, state } = wanted);
      const gradScale = step % 2 === 0 ? 0.25 : scalar(0.25);
      tensors = adamW({ ...tensors, grad: toTensor(grad) }, { ...options, step, gradScale });
      expect(tensors.param).toBeCloseRms(param, 1e-5);
      expect(tensors.m).toBeCloseRms(state.mean, 1e-5);
      expect(tensors.v).toBeCloseRms(state.meanSquare, 1e-5);
    }
  });

  it('a step makes three tensors and leaves its inputs alone', () => {
    const [param, grad, m, v] = [1, 2, 3, 4].map((x) => toTensor(nd([5], Array(5).fill(x)))) as [
      Tensor,
      Tensor,
      Tensor,
      Tensor,
    ];
    const before = memory().numTensors;
    const made = adamW({ param, grad, m, v }, { learningRate: 0.1, step: 1 });
    expect(memory().numTensors).toBe(before + 3);
    expect(Array.from(param.dataSync())).toEqual([1, 1, 1, 1, 1]);
    expect(made.param.dataSync()[0]).not.toBe(1);
  });

  it('frees what it consumes', () => {
    const [param, grad, m, v] = [1, 2, 3, 4].map((x) => toTensor(nd([5], Array(5).fill(x)))) as [
      Tensor,
      Tensor,
      Tensor,
      Tensor,
    ];
    const alias = param.clone();
    const before = memory().numTensors;
    const made = adamW({ param, grad, m, v }, { learningRate: 0.1, step: 1, consume: true });
    expect(memory().numTensors).toBe(before - 1);
    expect(Array.from(alias.dataSync())).toEqual([1, 1, 1, 1, 1]);
    expect(made.param.dataSync()[0]).not.toBe(1);
  });

  it('globalNorm is the norm of all entries together', () => {
    const random = seededRandom(6);
    const arrays = [[3, 5], [1], [2, 3, 7], [0, 4], [4099]].map((shape) => float32(random.normals(shape)));
    const expected = Math.sqrt(
      arrays.flatMap((a) => Array.from(a.data)).reduce((total, x) => total + x * x, 0),
    );
    const norm = tidy(() => globalNorm(arrays.map(toTensor)).dataSync()[0]!);
    expect(norm / expected).toBeCloseTo(1, 6);
  });

  it('says what is wrong with its arguments', () => {
    const tensors = { param: zeros([2]), grad: zeros([3]), m: zeros([2]), v: zeros([2]) };
    expect(() => adamW(tensors, { learningRate: 1, step: 1 })).toThrow(
      /adamW\(grad\): expected shape \[2\], found \[3\]/,
    );
    expect(() => adamW({ ...tensors, grad: zeros([2]) }, { learningRate: 1, step: 0 })).toThrow(
      /adamW\(step\): 0 is no step/,
    );
    expect(() => globalNorm([])).toThrow(/globalNorm\(tensors\)/);
  });
});
