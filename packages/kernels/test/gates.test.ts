import { map, mambaLogDecay, seededRandom, silu, zipWith } from '@mnemix/testkit';
import { openBackend, zeros } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { deltaGates, logDecayGate, swiGlu } from '../src/index.ts';
import { expectToMatch, float32, runOp, runOracle, type Arrays } from './op-cases.ts';

describe.each(['cpu', 'wasm'] as const)('gates on %s', (backend) => {
  beforeAll(() => openBackend(backend));

  const swiGluOracle = (a: Arrays) => ({ y: zipWith(map(a['gate']!, silu), a['up']!, (g, u) => g * u) });

  it.each([[1], [3, 5], [2, 3, 7], [4, 16]])(
    'swiGlu matches the oracle for [%i, %i, …]',
    async (...shape) => {
      const random = seededRandom(2);
      const inputs = { gate: float32(random.normals(shape, 3)), up: float32(random.normals(shape)) };
      const dy = float32(random.normals(shape));
      const actual = await runOp(inputs, (t) => ({ y: swiGlu(t['gate']!, t['up']!) }), { y: dy });
      expectToMatch(actual, runOracle(inputs, swiGluOracle, { y: dy }));
    },
  );

  const decayOracle = (a: Arrays) => ({ g: mambaLogDecay(a['a']!, a['aLog']!, a['dtBias']!) });

  it.each([
    [1, 1],
    [5, 3],
    [2, 7, 4],
    [33, 6],
    [0, 3],
  ])('logDecayGate matches the oracle for [%i, %i, …]', async (...shape) => {
    const random = seededRandom(3);
    const heads = [shape.at(-1)!];
    const inputs = {
      a: float32(random.normals(shape, 3)),
      aLog: float32(random.uniforms(heads, -2, 2.7)),
      dtBias: float32(random.uniforms(heads, -7, -2)),
    };
    const dg = float32(random.normals(shape));
    const actual = await runOp(inputs, (t) => ({ g: logDecayGate(t as never) }), { g: dg });
    expectToMatch(actual, runOracle(inputs, decayOracle, { g: dg }));
  });

  it.each([
    { shape: [1, 1], strongest: 1 },
    { shape: [2, 7, 4], strongest: 2 },
  ])('deltaGates matches the oracle for $shape, up to $strongest', async ({ shape, strongest }) => {
    const random = seededRandom(4);
    const heads = [shape.at(-1)!];
    const inputs = {
      a: float32(random.normals(shape, 3)),
      aLog: float32(random.uniforms(heads, -2, 2.7)),
      dtBias: float32(random.uniforms(heads, -7, -2)),
      b: float32(random.normals(shape, 3)),
    };
    const upstream = { logDecay: float32(random.normals(shape)), beta: float32(random.normals(shape)) };
    const oracle = (x: Arrays) => ({
      logDecay: decayOracle(x).g,
      beta: map(x['b']!, (b) => strongest / (1 + Math.exp(-b))),
    });
    const actual = await runOp(inputs, (t) => deltaGates(t as never, { strongest }), upstream);
    expectToMatch(actual, runOracle(inputs, oracle, upstream));
  });

  it('logDecayGate keeps its digits where decay is faint, and is finite where it is strong', async () => {
    const a = { shape: [6, 1], data: Float64Array.of(-80, -30, -12, 12, 30, 200) };
    const inputs = {
      a,
      aLog: { shape: [1], data: Float64Array.of(0) },
      dtBias: { shape: [1], data: Float64Array.of(0) },
    };
    const { outputs } = await runOp(inputs, (t) => ({ g: logDecayGate(t as never) }), { g: a });
    decayOracle(inputs).g.data.forEach((expected, i) => {
      expect(Math.abs(outputs['g']!.data[i]! / expected - 1), `entry ${i}`).toBeLessThan(1e-6);
    });
  });

  it('names the argument of a wrong shape', () => {
    expect(() => swiGlu(zeros([2, 3]), zeros([3, 2]))).toThrow(
      /swiGlu\(up\): expected shape \[2, 3\], found \[3, 2\]/,
    );
    const inputs = { a: zeros([2, 3]), aLog: zeros([3]), dtBias: zeros([2]) };
    expect(() => logDecayGate(inputs)).toThrow(/logDecayGate\(dtBias\)/);
  });
});
