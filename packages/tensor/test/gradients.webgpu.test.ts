import { afterAll, beforeAll, expect, it } from 'vitest';
import * as m from '../src/index.ts';
import { derivedGradients, differencedGradients, gradientCases } from './gradient-cases.ts';
import { onWebgpu } from './support.ts';

onWebgpu('gradients', (backend) => {
  const differences = new Map<string, Float32Array[]>();

  beforeAll(async () => {
    await m.openBackend('cpu');
    for (const gradientCase of gradientCases)
      differences.set(gradientCase.name, differencedGradients(gradientCase));
    await m.openBackend(backend);
  });
  afterAll(() => m.closeBackend());

  it.each(gradientCases)('of $name agree with central differences', async (gradientCase) => {
    const derived = await derivedGradients(gradientCase);
    differences
      .get(gradientCase.name)
      ?.forEach((expected, i) => expect(derived[i]).toBeCloseRms(expected, 1e-3, 1e-4));
  });
});
