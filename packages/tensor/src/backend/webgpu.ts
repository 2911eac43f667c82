// WebGPU on a device that we request ourselves: tfjs asks for none of the features and limits that kernels want.
import { env, type KernelBackend } from '@tensorflow/tfjs-core';
import { isNode } from './environment.ts';
import { dawn, releaseDawn } from './dawn.ts';
import { BufferPool } from './buffer-pool.ts';
import { watchDevice, type Watch } from './health.ts';
import { installWebgpuKernels } from './webgpu-kernels.ts';
import { supervisePrograms } from './webgpu-programs.ts';
import { installUploads } from './webgpu-uploads.ts';
import { mixedObstacle, setMatrixUnits, setPrecision, type Precision } from './webgpu-precision.ts';
import type { BackendReport, Opened } from './report.ts';

export interface WebgpuOptions {
  /** Which of several GPUs to prefer. Default: `high-performance`. */
  readonly powerPreference?: 'high-performance' | 'low-power';
  /**
   * Of matrix products, attention and the diagonal-decay scan. `mixed`: f16 operands and f32 sums, on devices with matrix units
   * (relative error about 4e-4, of gates' gradients up to 2e-3). Default `float32`.
   */
  readonly precision?: Precision;
}

const WANTED_FEATURES = [
  'subgroups',
  'shader-f16',
  'timestamp-query',
  'chromium-experimental-subgroup-matrix',
] as const;

/** Raised to what the adapter offers; the rest stay at WebGPU's defaults. */
const WANTED_LIMITS = [
  'maxStorageBuffersPerShaderStage',
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupsPerDimension',
] as const;

/** A real GPU. */
export const openWebgpu = (options: WebgpuOptions): Promise<Opened> => open(options, false);

/** A software adapter such as SwiftShader: right, far slower than WASM. For tests. */
export const openSoftwareWebgpu = (options: WebgpuOptions): Promise<Opened> => open(options, true);

const DISPATCHES_OF_A_SUBMIT = 64;

async function open(
  { powerPreference = 'high-performance', precision = 'float32' }: WebgpuOptions,
  software: boolean,
): Promise<Opened> {
  const gpu = isNode() ? await dawn(software) : globalThis.navigator?.gpu;
  if (!gpu) throw new Error('this browser has no WebGPU (navigator.gpu)');
  const adapter = await gpu.requestAdapter({ powerPreference, forceFallbackAdapter: software });
  if (!adapter) {
    const hint =
      software && isNode() ? ' (VK_ICD_FILENAMES names the drivers, e.g. vk_swiftshader_icd.json)' : '';
    throw new Error(`WebGPU found no ${software ? 'software ' : ''}adapter${hint}`);
  }
  if (isSoftware(adapter) !== software) {
    throw new Error(`the adapter is ${software ? 'not a' : 'only a'} software one (${describe(adapter)})`);
  }

  const requiredFeatures = WANTED_FEATURES.filter((feature) =>
    adapter.features.has(feature),
  ) as GPUFeatureName[];
  const limits = Object.fromEntries(WANTED_LIMITS.map((limit) => [limit, adapter.limits[limit]]));
  const device = await adapter.requestDevice({ requiredFeatures, requiredLimits: limits });
  const { WebGPUBackend, webgpu_util } = await import('@tensorflow/tfjs-backend-webgpu');
  installWebgpuKernels(webgpu_util);
  // Small ops would otherwise run on the CPU or the GPU depending on where their inputs were last (trap 3).
  env().set('WEBGPU_CPU_FORWARD', false);
  // A submit costs as much as dozens of dispatches; tfjs's 15 leave a fast device waiting for JavaScript.
  env().set('WEBGPU_DEFERRED_SUBMIT_BATCH_SIZE', DISPATCHES_OF_A_SUBMIT);
  const instance: KernelBackend = new WebGPUBackend(device as never, adapter.info as never);
  const { fail, expectLoss } = watchDevice(device, instance);
  installPool(instance, device, fail);
  installUploads(instance);
  supervisePrograms(instance);
  const lack = mixedObstacle(adapter);
  if (lack === undefined) setMatrixUnits(device);
  const obstacle = precision === 'mixed' ? lack : undefined;
  const granted: Precision = obstacle === undefined ? precision : 'float32';
  setPrecision(instance, granted);

  const { vendor, architecture, description } = adapter.info;
  const report: BackendReport = {
    name: 'webgpu',
    adapter: { vendor, architecture, description },
    features: requiredFeatures,
    limits,
    threads: 1,
    simd: false,
    software,
    precision: granted,
    rejected: obstacle === undefined ? [] : [{ name: 'mixed precision', reason: obstacle }],
  };
  const close = (): void => {
    expectLoss();
    device.destroy();
    releaseDawn();
  };
  return { instance, report, close };
}

/** For tfjs, which frees what recorded commands use only once they are submitted: the pool tells what may be used again. */
const NOTHING_OWNED = { add: () => {}, has: () => false };

/** Puts our pool in the place of tfjs's. */
function installPool(instance: KernelBackend, device: GPUDevice, onFailure: Watch['fail']): void {
  const backend = instance as unknown as {
    readonly commandEncoder: GPUCommandEncoder | null;
    bufferManager: BufferPool;
    submitQueue(): void;
  };
  const pool = new BufferPool({ device, isRecording: () => backend.commandEncoder !== null, onFailure });
  const { submitQueue } = backend;
  backend.bufferManager = pool;
  // tfjs makes a new set at each submit.
  Object.defineProperty(backend, 'commandQueueOwnedIds', { get: () => NOTHING_OWNED, set: () => {} });
  backend.submitQueue = () => {
    submitQueue.call(backend);
    // Whose turn it is now: a recording has a pool of its own.
    backend.bufferManager.afterSubmit();
  };
}

/** Adapters that compute on the CPU; older browsers do not say so themselves. */
function isSoftware({ info }: GPUAdapter): boolean {
  return (
    info.isFallbackAdapter === true ||
    /swiftshader|llvmpipe|lavapipe|basic render/i.test(
      `${info.architecture} ${info.device} ${info.description}`,
    )
  );
}

const describe = ({ info }: GPUAdapter): string =>
  [info.vendor, info.architecture, info.description].filter(Boolean).join(' ');
