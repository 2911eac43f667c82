import { describeOnWebgpu, map, mambaLogDecay, seededRandom } from '@mnemix/testkit';
import { closeBackend, openBackend } from '@mnemix/tensor';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { deltaGates, logDecayGate } from '../../src/index.ts';
import { expectToMatch, float32, runOp, runOracle, toTensor, type Arrays } from '../op-cases.ts';
import { countStockPrograms } from './stock-programs.ts';

// A software adapter takes a while to compile a pipeline.
vi.setConfig({ testTimeout: 300_000 });

const oracle = (x: Arrays) => ({ g: mambaLogDecay(x['a']!, x['aLog']!, x['dtBias']!) });

function inputsOf(shape: readonly number[]) {
  const random = seededRandom(3);
  const heads = [shape.at(-1)!];
  return {
    a: float32(random.normals(shape, 3)),
    aLog: float32(random.uniforms(heads, -2, 2.7)),
    dtBias: float32(random.uniforms(heads, -7, -2)),
    dg: float32(random.normals(shape)),
  };
}

describeOnWebgpu('logDecayGate', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

  // Rows and heads below and above what a workgroup has slots and lanes for.
  it.each([
    [1, 1],
    [2, 7, 4],
    [600, 3],
    [3, 260],
  ])('matches the oracle for [%i, %i, …]', async (...shape) => {
    const { dg, ...inputs } = inputsOf(shape);
    const actual = await runOp(inputs, (t) => ({ g: logDecayGate(t as never) }), { g: dg });
    expectToMatch(actual, runOracle(inputs, oracle, { g: dg }));
  });

  it('matches the oracle with the strength alongside', async () => {
    const { dg, ...gate } = inputsOf([600, 3]);
    const random = seededRandom(5);
    const inputs = { ...gate, b: float32(random.normals([600, 3], 3)) };
    const upstream = { logDecay: dg, beta: float32(random.normals([600, 3])) };
    const actual = await runOp(inputs, (t) => deltaGates(t as never, { strongest: 2 }), upstream);
    const wanted = (x: Arrays) => ({
      logDecay: oracle(x).g,
      beta: map(x['b']!, (b) => 2 / (1 + Math.exp(-b))),
    });
    expectToMatch(actual, runOracle(inputs, wanted, upstream));
  });

  it('keeps its digits where decay is faint, and is finite where it is strong', async () => {
    const a = { shape: [7, 1], data: Float64Array.of(-60, -30, -12, -0.5, 12, 30, 200) };
    const zero = { shape: [1], data: Float64Array.of(0) };
    const inputs = { a, aLog: zero, dtBias: zero };
    const { outputs } = await runOp(inputs, (t) => ({ g: logDecayGate(t as never) }), { g: a });
    oracle(inputs).g.data.forEach((expected, i) => {
      // WGSL allows exponentials an error that grows with the exponent.
      const allowed = 1e-6 * (1 + Math.abs(a.data[i]!) / 4);
      expect(Math.abs(outputs['g']!.data[i]! / expected - 1), `entry ${i}`).toBeLessThan(allowed);
    });
  });

  it('goes without stock kernels, and gives the same bits every time', async () => {
    const { dg, ...inputs } = inputsOf([700, 5]);
    const run = () => runOp(inputs, (t) => ({ g: logDecayGate(t as never) }), { g: dg });
    expect(await run()).toEqual(await run());
    const given = { a: toTensor(inputs.a), aLog: toTensor(inputs.aLog), dtBias: toTensor(inputs.dtBias) };
    expect(countStockPrograms(() => logDecayGate(given))).toBe(0);
    for (const tensor of Object.values(given)) tensor.dispose();
  });
});
