import { describeOnWebgpu, nd, seededRandom, silu, zipWith } from '@mnemix/testkit';
import { closeBackend, openBackend } from '@mnemix/tensor';
import { afterAll, beforeAll, it, vi } from 'vitest';
import { swiGlu } from '../../src/index.ts';
import { expectToMatch, float32, poison, runOp, runOracle } from '../op-cases.ts';

// A software adapter takes a while to compile a pipeline.
vi.setConfig({ testTimeout: 300_000 });

describeOnWebgpu('swiGlu', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

  it.each([[1], [3, 5], [7, 60], [2, 3, 11]])('matches the oracle for [%i, …]', async (...shape) => {
    const random = seededRandom(8);
    const draw = () => float32(random.normals(shape, 3));
    const [inputs, dy] = [{ gate: draw(), up: draw() }, draw()];
    await poison([shape, shape]);
    const actual = await runOp(inputs, (t) => ({ y: swiGlu(t['gate']!, t['up']!) }), { y: dy });
    const oracle = (a: Record<string, typeof dy>) => ({
      y: zipWith(a['gate']!, a['up']!, (gate, up) => silu(gate) * up),
    });
    expectToMatch(actual, runOracle(inputs, oracle, { y: dy }));
  });

  it('has a finite value and slope for any gate', async () => {
    const gate = nd([4], [-1000, 1000, -60, 0]);
    const one = nd([4], [1, 1, 1, 1]);
    const actual = await runOp({ gate, up: one }, (t) => ({ y: swiGlu(t['gate']!, t['up']!) }), { y: one });
    expectToMatch(actual, {
      outputs: { y: nd([4], [0, 1000, 0, 0]) },
      gradients: { gate: nd([4], [0, 1, 0, 0.5]), up: nd([4], [0, 1000, 0, 0]) },
    });
  });
});
