import { describeOnWebgpu } from '@mnemix/testkit';
import { closeBackend, openBackend } from '@mnemix/tensor';
import { afterAll, beforeAll, it, vi } from 'vitest';
import { expectRotation, rotaryCases } from '../rotary-cases.ts';

// A software adapter takes a while to compile a pipeline.
vi.setConfig({ testTimeout: 300_000 });

describeOnWebgpu('rotary', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

  it.each(rotaryCases)('matches the oracle, and so does its gradient, $name', expectRotation);
});
