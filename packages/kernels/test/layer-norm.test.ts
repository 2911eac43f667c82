import { mapVectors, nd, seededRandom, type NdArray } from '@mnemix/testkit';
import { MnemixError, openBackend, zeros } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { layerNorm } from '../src/index.ts';
import { expectToMatch, float32, runOp, runOracle, type Arrays } from './op-cases.ts';

/** y = w ⊙ (x − mean x)·(var x + ε)^{−1/2} + b from the definition; weight and bias repeat over x. */
function layerNormOracle({ x, weight, bias }: Arrays, epsilon: number): NdArray {
  const normal = mapVectors(x!, (vector) => {
    const mean = vector.reduce((sum, value) => sum + value, 0) / vector.length;
    const variance = vector.reduce((sum, value) => sum + (value - mean) ** 2, 0) / vector.length;
    return vector.map((value) => (value - mean) / Math.sqrt(variance + epsilon));
  });
  const at = (affine: NdArray | undefined, i: number, otherwise: number) =>
    affine ? affine.data[i % affine.data.length]! : otherwise;
  return nd(
    x!.shape,
    normal.data.map((value, i) => at(weight, i, 1) * value + at(bias, i, 0)),
  );
}

function inputsOf(shape: readonly number[], affine: readonly number[] = shape.slice(-1), seed = 1) {
  const random = seededRandom(seed);
  return {
    x: float32(random.normals(shape)),
    weight: float32(random.normals(affine)),
    bias: float32(random.normals(affine)),
    dy: float32(random.normals(shape)),
  };
}

const compare = async (inputs: Arrays, dy: NdArray, eps = 1e-3) =>
  expectToMatch(
    await runOp(inputs, (t) => ({ y: layerNorm(t as never, { eps }) }), { y: dy }),
    runOracle(inputs, (a) => ({ y: layerNormOracle(a, eps) }), { y: dy }),
  );

describe.each(['cpu', 'wasm'] as const)('layerNorm on %s', (backend) => {
  beforeAll(() => openBackend(backend));

  it.each([[1, 1], [1, 6], [3, 5], [2, 3, 7], [4, 16], [33, 6], [2, 5, 2, 9], [11]])(
    'matches the oracle for [%i, %i, …], with and without weight and bias',
    async (...shape) => {
      const { x, weight, bias, dy } = inputsOf(shape);
      for (const inputs of [{ x, weight, bias }, { x, weight }, { x, bias }, { x }]) {
        await compare(inputs as Arrays, dy);
      }
    },
  );

  it('takes a weight and a bias for each head, or for more of the last axes', async () => {
    const ofHeads = inputsOf([7, 3, 5], [3, 5]);
    for (const absent of ['weight', 'bias', 'neither']) {
      const { dy, ...inputs } = ofHeads;
      await compare(Object.fromEntries(Object.entries(inputs).filter(([name]) => name !== absent)), dy);
    }
    const { dy, ...ofAll } = inputsOf([2, 3, 6], [2, 3, 6]);
    await compare(ofAll, dy);
  });

  it('keeps its digits where the mean is far from 0', async () => {
    const { dy, ...inputs } = inputsOf([6, 19]);
    const far = float32(
      nd(
        inputs.x.shape,
        inputs.x.data.map((value) => value + 50),
      ),
    );
    await compare({ ...inputs, x: far }, dy);
  });

  it('gives the bias, and finite gradients, where all channels are equal', async () => {
    const { dy, ...inputs } = inputsOf([4, 7]);
    const level = nd(
      inputs.x.shape,
      inputs.x.data.map((_, i) => Math.floor(i / 7) - 1),
    );
    const { outputs, gradients } = await runOp(
      { ...inputs, x: level },
      (t) => ({ y: layerNorm(t as never) }),
      { y: dy },
    );
    expect([...outputs['y']!.data]).toEqual([0, 1, 2, 3].flatMap(() => [...inputs.bias.data]));
    expect([...gradients['weight']!.data].every((value) => value === 0)).toBe(true);
    expect([...gradients['x']!.data].every(Number.isFinite)).toBe(true);
  });

  it('takes no rows', async () => {
    for (const shape of [
      [0, 5],
      [0, 3, 5],
    ]) {
      const { dy, ...inputs } = inputsOf(shape, shape.slice(1));
      const { outputs, gradients } = await runOp(inputs, (t) => ({ y: layerNorm(t as never) }), { y: dy });
      expect(outputs['y']!.shape).toEqual(shape);
      for (const name of ['weight', 'bias']) {
        expect(gradients[name]!.shape, name).toEqual(shape.slice(1));
        expect(
          [...gradients[name]!.data].every((value) => value === 0),
          name,
        ).toBe(true);
      }
    }
  });

  it('names the argument of a wrong shape', () => {
    expect(() => layerNorm({ x: zeros([2, 4]), weight: zeros([3]) })).toThrow(
      /layerNorm\(weight\): expected shape \[4\], found \[3\]/,
    );
    expect(() => layerNorm({ x: zeros([2, 3, 4]), weight: zeros([2, 4]) })).toThrow(
      /layerNorm\(weight\): expected shape \[3, 4\], found \[2, 4\]/,
    );
    expect(() => layerNorm({ x: zeros([2, 3, 4]), weight: zeros([3, 4]), bias: zeros([4]) })).toThrow(
      /layerNorm\(bias\): expected shape \[3, 4\], found \[4\]/,
    );
    expect(() => layerNorm({ x: zeros([4]), weight: zeros([2, 4]) })).toThrow(/layerNorm\(weight\)/);
    expect(() => layerNorm({ x: zeros([]) })).toThrow(MnemixError);
  });
});
