// The product on matrix units cannot run on a software adapter: its kernels are compiled, and when they are planned is checked.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Activation } from '../../src/mat-mul/epilogue.ts';
import { plan } from '../../src/mat-mul/gpu.ts';
import { bytesOf, mixedKernel, packing, type MixedTile } from '../../src/mat-mul/mixed.ts';
import { productOf } from '../../src/mat-mul/sizes.ts';
import { pipelineOf } from '../../src/gpu/pipelines.ts';
import type { GpuKernel } from '../../src/gpu/kernel.ts';
import { openNullDevice, roomyDevice } from './null-device.ts';

const attrs = { transposeA: false, transposeB: false };

let device: GPUDevice | undefined;

beforeAll(async () => {
  device = await openNullDevice();
});
afterAll(() => device?.destroy());

describe('the product on matrix units', () => {
  // Dawn's null backend has the least workgroup memory that WebGPU allows.
  const tile: MixedTile = {
    fragmentRows: 2,
    fragmentColumns: 2,
    subgroupRows: 2,
    subgroupColumns: 2,
    depth: 32,
  };
  const compiles = async (kernel: GpuKernel): Promise<void> =>
    expect(await pipelineOf(device as GPUDevice, kernel, true).outcome).toBeUndefined();

  it.each(['linear', 'relu', 'leakyrelu', 'prelu'] as const satisfies Activation[])(
    'compiles, with a bias and %s',
    async (activation) => {
      expect(device, 'Dawn with its null backend').toBeDefined();
      expect(bytesOf(tile)).toBeLessThanOrEqual((device as GPUDevice).limits.maxComputeWorkgroupStorageSize);
      for (const isVector of [true, false]) {
        await compiles(mixedKernel({ tile, epilogue: { hasBias: true, activation }, isVector }));
      }
    },
  );

  it.each([false, true])('compiles the packing of operands (transposed: %s)', async (transposeA) => {
    const product = productOf(transposeA ? [6, 5] : [5, 6], [6, 7], { transposeA, transposeB: false });
    const { dispatches } = packing(product, { rows: 128, columns: 128, inner: 32 });
    for (const { kernel } of dispatches) await compiles(kernel);
  });

  it('is planned for large products where mixed precision is asked for', () => {
    const large = { shapes: { a: [1024, 4096], b: [4096, 1000] }, attrs, device: roomyDevice };
    const small = { ...large, shapes: { a: [4, 4096], b: [4096, 1000] } };
    const kernels = (precision: 'float32' | 'mixed', call: typeof large) =>
      plan({ ...call, precision })?.dispatches.map(({ kernel }) => kernel.name);
    expect(kernels('mixed', large)).toEqual(['MatMul largest', 'MatMul pack', 'MatMul mixed', 'SumRows']);
    for (const names of [kernels('float32', large), kernels('mixed', small)])
      expect(names?.[0]).toBe('MatMul');
  });
});
