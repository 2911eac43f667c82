import { describeOnWebgpu, nd, rmsNorm as oracle, seededRandom } from '@mnemix/testkit';
import { closeBackend, openBackend } from '@mnemix/tensor';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { addRmsNorm, rmsNorm } from '../../src/index.ts';
import { expectToMatch, float32, poison, runOp, runOracle, type Arrays } from '../op-cases.ts';

// A software adapter takes a while to compile a pipeline.
vi.setConfig({ testTimeout: 300_000 });

function inputsOf(shape: readonly number[]) {
  const random = seededRandom(11);
  return {
    x: float32(random.normals(shape)),
    weight: float32(random.normals([shape.at(-1)!])),
    dy: float32(random.normals(shape)),
  };
}

describeOnWebgpu('rmsNorm', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

  // Rows and columns below, at and above what a workgroup has slots and lanes for; widths that move in vectors and not.
  const shapes = [
    [1, 1],
    [2, 3, 7],
    [300, 4],
    [2, 1032],
    [2, 259],
  ];

  it.each(shapes)('matches the oracle for [%i, %i, …], with and without a weight', async (...shape) => {
    const { x, weight, dy } = inputsOf(shape);
    for (const inputs of [{ x, weight }, { x }] as Arrays[]) {
      await poison([[1, shape.at(-1)!], [4]]);
      const actual = await runOp(inputs, (t) => ({ y: rmsNorm(t as never, { eps: 1e-3 }) }), { y: dy });
      const wanted = runOracle(inputs, (a) => ({ y: oracle(a['x']!, a['weight'], 1e-3) }), { y: dy });
      expectToMatch(actual, wanted);
    }
  });

  it.each([
    [300, 4],
    [2, 259],
    [3, 1032],
  ])('matches the oracle for the sum of two [%i, %i]', async (...shape) => {
    const { x, weight, dy } = inputsOf(shape);
    const added = float32(seededRandom(12).normals(shape));
    const inputs = { x, added, weight };
    await poison([[1, shape.at(-1)!], [4]]);
    const upstream = { y: dy, sum: added };
    const actual = await runOp(inputs, (t) => addRmsNorm(t as never, { eps: 1e-3 }), upstream);
    const wanted = (a: Arrays) => {
      const data = a['x']!.data.map((value, i) => value + a['added']!.data[i]!);
      return { sum: nd(shape, data), y: oracle(nd(shape, data), a['weight'], 1e-3) };
    };
    expectToMatch(actual, runOracle(inputs, wanted, upstream));
  });

  it('has the gradient of a row that workgroup memory does not hold in its portable form, and says so', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    const { x, weight, dy } = inputsOf([1, 40_000]);
    const { gradients } = await runOp({ x, weight }, (t) => ({ y: rmsNorm(t as never) }), { y: dy });
    const scale = 1 / Math.sqrt(x.data.reduce((sum, value) => sum + value * value, 0) / 40_000 + 1e-6);
    const wanted = dy.data.map((slope, i) => slope * x.data[i]! * scale);
    expect(gradients['weight']).toBeCloseRms(nd([40_000], wanted), 1e-5);
    const told = warn.mock.calls.flat().filter((text) => String(text).includes('RmsNormBackward'));
    expect(told).toEqual([
      expect.stringContaining('gradients of 40000 columns are more than workgroup memory'),
    ]);
    warn.mockRestore();
  });

  it('gives the same bits every time, the summed gradient included', async () => {
    const { dy, ...inputs } = inputsOf([600, 24]);
    const run = () => runOp(inputs, (t) => ({ y: rmsNorm(t as never) }), { y: dy });
    const first = await run();
    for (let i = 0; i < 2; i++) expect(await run()).toEqual(first);
  });
});
