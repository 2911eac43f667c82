import { gatedRmsNorm, l2Norm as l2Oracle, nd, rmsNorm as rmsOracle, seededRandom } from '@mnemix/testkit';
import { MnemixError, openBackend, zeros } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { addRmsNorm, l2Norm, l2NormPair, rmsNorm, rmsNormGated } from '../src/index.ts';
import { expectToMatch, float32, runOp, runOracle, type Arrays, type Tensors } from './op-cases.ts';

const shapes = [
  [1, 1],
  [3, 5],
  [2, 3, 7],
  [4, 16],
  [33, 6],
  [2, 5, 2, 9],
];

function inputsOf(shape: readonly number[], seed = 1) {
  const random = seededRandom(seed);
  const width = [shape.at(-1)!];
  return {
    x: float32(random.normals(shape)),
    gate: float32(random.normals(shape, 2)),
    weight: float32(random.normals(width)),
    dy: float32(random.normals(shape)),
  };
}

const addRmsOracle = (eps: number) => (a: Arrays) => {
  const { shape, data } = a['x']!;
  const sum = nd(
    shape,
    data.map((value, i) => value + a['added']!.data[i]!),
  );
  return { sum, y: rmsOracle(sum, a['weight'], eps) };
};

describe.each(['cpu', 'wasm'] as const)('norms on %s', (backend) => {
  beforeAll(() => openBackend(backend));

  it.each(shapes)('rmsNorm matches the oracle for [%i, %i, …]', async (...shape) => {
    const { x, weight, dy } = inputsOf(shape);
    for (const inputs of [{ x, weight }, { x }] as Arrays[]) {
      const actual = await runOp(inputs, (t) => ({ y: rmsNorm(t as never, { eps: 1e-3 }) }), { y: dy });
      expectToMatch(
        actual,
        runOracle(inputs, (a) => ({ y: rmsOracle(a['x']!, a['weight'], 1e-3) }), { y: dy }),
      );
    }
  });

  it.each(shapes)('addRmsNorm matches the oracle for [%i, %i, …]', async (...shape) => {
    const { x, gate: added, weight, dy } = inputsOf(shape);
    const upstream = { y: dy, sum: inputsOf(shape, 2).dy };
    const inputs = { x, added, weight };
    const actual = await runOp(inputs, (t) => addRmsNorm(t as never, { eps: 1e-3 }), upstream);
    expectToMatch(actual, runOracle(inputs, addRmsOracle(1e-3), upstream));
  });

  it.each(shapes)('rmsNormGated matches the oracle for [%i, %i, …]', async (...shape) => {
    const { dy, ...inputs } = inputsOf(shape);
    for (const activation of ['silu', 'sigmoid'] as const) {
      const actual = await runOp(inputs, (t) => ({ y: rmsNormGated(t as never, { activation }) }), { y: dy });
      const oracle = (a: Arrays) => ({
        y: gatedRmsNorm(a['x']!, a['gate']!, a['weight'], 1e-5, activation),
      });
      expectToMatch(actual, runOracle(inputs, oracle, { y: dy }));
    }
  });

  it.each(shapes)('l2Norm matches the oracle for [%i, %i, …]', async (...shape) => {
    const { x, dy } = inputsOf(shape);
    const actual = await runOp({ x }, (t) => ({ y: l2Norm(t['x']!, { eps: 1e-2 }) }), { y: dy });
    expectToMatch(
      actual,
      runOracle({ x }, (a) => ({ y: l2Oracle(a['x']!, 1e-2) }), { y: dy }),
    );
  });

  it.each(shapes)('l2NormPair matches the oracle for two of [%i, %i, …]', async (...shape) => {
    const { x: q, gate: k, dy } = inputsOf(shape);
    const upstream = { q: dy, k: inputsOf(shape, 2).dy };
    const both = (t: Tensors) => {
      const [first, second] = l2NormPair(t['q']!, t['k']!, { eps: 1e-2 });
      return { q: first, k: second };
    };
    const oracle = (a: Arrays) => ({ q: l2Oracle(a['q']!, 1e-2), k: l2Oracle(a['k']!, 1e-2) });
    expectToMatch(await runOp({ q, k }, both, upstream), runOracle({ q, k }, oracle, upstream));
  });

  it('gated values stay finite where the gate is far out', async () => {
    const { x, weight, dy, gate } = inputsOf([4, 6]);
    const far = { shape: gate.shape, data: gate.data.map((z) => 200 * Math.sign(z)) };
    const actual = await runOp({ x, gate: far, weight }, (t) => ({ y: rmsNormGated(t as never) }), { y: dy });
    const oracle = (a: Arrays) => ({ y: gatedRmsNorm(a['x']!, a['gate']!, a['weight']) });
    expectToMatch(actual, runOracle({ x, gate: far, weight }, oracle, { y: dy }));
  });

  it('takes no rows', async () => {
    const { x, gate, weight, dy } = inputsOf([0, 5]);
    const actual = await runOp({ x, gate, weight }, (t) => ({ y: rmsNormGated(t as never) }), { y: dy });
    expect(actual.outputs['y']!.shape).toEqual([0, 5]);
    expect(Array.from(actual.gradients['weight']!.data)).toEqual([0, 0, 0, 0, 0]);
    const plain = await runOp({ x, weight }, (t) => ({ y: rmsNorm(t as never) }), { y: dy });
    expect(Array.from(plain.gradients['weight']!.data)).toEqual([0, 0, 0, 0, 0]);
    const unit = await runOp({ x }, (t) => ({ y: l2Norm(t['x']!) }), { y: dy });
    expect(unit.outputs['y']!.shape).toEqual([0, 5]);
  });

  it('names the argument of a wrong shape', () => {
    expect(() => rmsNorm({ x: zeros([2, 4]), weight: zeros([3]) })).toThrow(
      /rmsNorm\(weight\): expected shape \[4\], found \[3\]/,
    );
    expect(() => addRmsNorm({ x: zeros([2, 4]), added: zeros([4]), weight: zeros([4]) })).toThrow(
      /addRmsNorm\(added\): expected shape \[2, 4\]/,
    );
    expect(() => rmsNormGated({ x: zeros([2, 4]), gate: zeros([2, 5]), weight: zeros([4]) })).toThrow(
      /rmsNormGated\(gate\)/,
    );
    expect(() => l2Norm(zeros([]))).toThrow(MnemixError);
  });
});
