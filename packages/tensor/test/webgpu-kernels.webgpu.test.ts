import { describeOnWebgpu } from '@mnemix/testkit';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  closeBackend,
  deviceMilliseconds,
  matMul,
  neg,
  openBackend,
  precisionOf,
  replaceWebgpuKernel,
  tensor,
  withStockKernels,
  type BackendReport,
  type TensorInfo,
} from '../src/index.ts';

describeOnWebgpu('kernels from other packages', (backend) => {
  let report: BackendReport;
  const seen: unknown[] = [];
  let made: TensorInfo[] | undefined;

  beforeAll(async () => {
    // Before tfjs's own kernels are there.
    replaceWebgpuKernel('BatchMatMul', ({ backend: instance }) => (seen.push(instance), made));
    report = await openBackend(backend, { precision: 'mixed' });
  });
  afterAll(closeBackend);

  it('come before those of tfjs, which do what they decline', async () => {
    const [a, b] = [tensor([1, 2], [1, 2]), tensor([3, 4], [2, 1])];
    seen.length = 0;
    const declined = matMul(a, b);
    expect(seen).toHaveLength(1);
    expect(Array.from(await declined.data())).toEqual([11]);
    made = [tensor([5], [1, 1])];
    expect(Array.from(await matMul(a, b).data())).toEqual([5]);
    expect(Array.from(await withStockKernels(() => matMul(a, b)).data())).toEqual([11]);
    made = undefined;
  });

  it('learn the precision that the backend was opened for, and its report says why it is less than asked for', async () => {
    seen.length = 0;
    matMul(tensor([1], [1, 1]), tensor([1], [1, 1]));
    expect(precisionOf(seen[0])).toBe(report.precision);
    expect(precisionOf({})).toBe('float32');
    if (report.precision === 'mixed') expect(report.rejected).toEqual([]);
    else
      expect(report.rejected).toEqual([
        { name: 'mixed precision', reason: expect.stringContaining('the adapter') },
      ]);
    await expect(openBackend(backend, { precision: 'float32' })).rejects.toMatchObject({ code: 'config' });
  });

  it('are timed by the device', async () => {
    const x = tensor([1, 2, 3]);
    const time = await deviceMilliseconds(() => neg(x).dispose());
    if (report.features.includes('timestamp-query')) expect(time).toBeGreaterThanOrEqual(0);
    else expect(time).toBeUndefined();
  });
});
