// The product on matrix units cannot run on a software adapter. Dawn's null backend runs nothing at all, but has every
// feature: it compiles the kernels, so that their WGSL at least is checked everywhere.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Activation } from '../../src/mat-mul/epilogue.ts';
import { plan } from '../../src/mat-mul/gpu.ts';
import { bytesOf, mixedKernel, packing, type MixedTile } from '../../src/mat-mul/mixed.ts';
import { productOf } from '../../src/mat-mul/sizes.ts';
import { pipelineOf } from '../../src/gpu/pipelines.ts';
import type { GpuKernel } from '../../src/gpu/kernel.ts';

const FEATURES = ['shader-f16', 'chromium-experimental-subgroup-matrix'] as unknown as GPUFeatureName[];
const attrs = { transposeA: false, transposeB: false };

/** Dawn is an optional package of `tensor`. */
async function openNull(): Promise<GPUDevice | undefined> {
  const fromTensor = createRequire(new URL('../../../tensor/package.json', import.meta.url));
  try {
    const { create, globals } = await import(pathToFileURL(fromTensor.resolve('webgpu')).href);
    Object.assign(globalThis, globals);
    instance = create(['backend=null', 'enable-dawn-features=allow_unsafe_apis']) as GPU;
  } catch {
    return undefined;
  }
  const adapter = await instance.requestAdapter();
  if (!adapter || !FEATURES.every((feature) => adapter.features.has(feature))) return undefined;
  return adapter.requestDevice({ requiredFeatures: FEATURES });
}

/** Must stay referenced for as long as the device is used. */
let instance: GPU;
let device: GPUDevice | undefined;

beforeAll(async () => {
  device = await openNull();
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
    const roomy = {
      limits: { maxComputeWorkgroupStorageSize: 49_152, maxComputeWorkgroupsPerDimension: 65_535 },
    } as GPUDevice;
    const large = { shapes: { a: [1024, 4096], b: [4096, 1000] }, attrs, device: roomy };
    const small = { ...large, shapes: { a: [4, 4096], b: [4096, 1000] } };
    const kernels = (precision: 'float32' | 'mixed', call: typeof large) =>
      plan({ ...call, precision })?.dispatches.map(({ kernel }) => kernel.name);
    expect(kernels('mixed', large)).toEqual(['MatMul largest', 'MatMul pack', 'MatMul mixed', 'SumRows']);
    for (const names of [kernels('float32', large), kernels('mixed', small)])
      expect(names?.[0]).toBe('MatMul');
  });
});
