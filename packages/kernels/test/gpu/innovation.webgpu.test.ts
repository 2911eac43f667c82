// The kernel against the oracle.
import { describeOnWebgpu } from '@mnemix/testkit';
import { closeBackend, openBackend, tidy } from '@mnemix/tensor';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { innovationCases, innovationOracle, runInnovation } from '../innovation-cases.ts';
import { poison } from '../op-cases.ts';

// A software adapter takes a while to compile its first pipelines.
vi.setConfig({ testTimeout: 300_000 });

describeOnWebgpu('innovation', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

  it.each(innovationCases)('matches the oracle for $name', async (shape) => {
    for (const error of ['l2', 'l1', 'relL2'] as const) {
      await poison([[shape.batch * shape.tokens]]);
      const e = tidy(() => runInnovation(shape, error));
      expect(await e.data(), error).toBeCloseRms(innovationOracle(shape, error), 1e-5);
      e.dispose();
    }
  });
});
