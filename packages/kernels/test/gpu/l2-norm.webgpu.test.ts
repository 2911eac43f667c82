import { describeOnWebgpu, l2Norm as oracle, seededRandom } from '@mnemix/testkit';
import { closeBackend, openBackend } from '@mnemix/tensor';
import { afterAll, beforeAll, it, vi } from 'vitest';
import { l2Norm, l2NormPair } from '../../src/index.ts';
import { expectToMatch, float32, runOp, runOracle, type Arrays } from '../op-cases.ts';

// A software adapter takes a while to compile a pipeline.
vi.setConfig({ testTimeout: 300_000 });

describeOnWebgpu('l2Norm', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

  it.each([
    [1, 1],
    [40, 12],
    [2, 3, 7],
    [2, 1028],
  ])('matches the oracle for [%i, %i, …]', async (...shape) => {
    const random = seededRandom(3);
    const [x, dy] = [float32(random.normals(shape)), float32(random.normals(shape))];
    const actual = await runOp({ x }, (t) => ({ y: l2Norm(t['x']!, { eps: 1e-2 }) }), { y: dy });
    expectToMatch(
      actual,
      runOracle({ x }, (a) => ({ y: oracle(a['x']!, 1e-2) }), { y: dy }),
    );
  });

  it.each([
    [40, 12],
    [3, 3, 7],
  ])('matches the oracle for two of [%i, %i, …]', async (...shape) => {
    const random = seededRandom(4);
    const [q, k, dq, dk] = Array.from({ length: 4 }, () => float32(random.normals(shape)));
    const upstream = { q: dq!, k: dk! };
    const actual = await runOp(
      { q: q!, k: k! },
      (t) => {
        const [first, second] = l2NormPair(t['q']!, t['k']!, { eps: 1e-2 });
        return { q: first, k: second };
      },
      upstream,
    );
    const wanted = (a: Arrays) => ({ q: oracle(a['q']!, 1e-2), k: oracle(a['k']!, 1e-2) });
    expectToMatch(actual, runOracle({ q: q!, k: k! }, wanted, upstream));
  });
});
