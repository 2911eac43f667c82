import { describeOnWebgpu } from '@mnemix/testkit';
import { closeBackend, memory, openBackend, tensor, withStockKernels } from '@mnemix/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { copy, measureCeilings, multiplyAdds } from '../../src/gpu/ceilings.ts';

describeOnWebgpu('the ceilings of a device', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

  it('are measured by kernels that compute what they say', async () => {
    const x = tensor([1, -2, 3, 4, 5, 6, 7, 8]);
    expect(Array.from(await copy({ x }, {}).y.data())).toEqual(Array.from(await x.data()));
    const run = () => multiplyAdds({ x: tensor([5]) }, { rounds: 3 }).y;
    const [found, expected] = [await run().data(), await withStockKernels(run).data()];
    expect(found).toEqual(expected);
    expect(found[0]).toBeCloseTo(1.5, 6);
  });

  it('are positive, and leave nothing behind', async () => {
    const before = memory().numTensors;
    const { bytesPerSecond, flopsPerSecond } = await measureCeilings();
    expect(bytesPerSecond).toBeGreaterThan(0);
    expect(flopsPerSecond).toBeGreaterThan(0);
    expect(memory().numTensors).toBe(before);
  });
});

describe('the ceilings of a device', () => {
  it('are not those of another backend', async () => {
    await openBackend('cpu');
    await expect(measureCeilings()).rejects.toMatchObject({ code: 'backend', where: 'measureCeilings' });
  });
});
