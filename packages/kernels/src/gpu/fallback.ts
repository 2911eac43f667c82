// Where the portable form runs instead of a kernel: why, said once.
import { deviceBytes, largestTensor, sizeOf } from '@mnemix/tensor';
import { tensorsBound, type GpuPlan } from './kernel.ts';

/** Why a device cannot run a plan that asks for nothing wrong; `undefined` if it can. Its outputs are checked elsewhere. */
export function obstacleTo({ scratch = {}, dispatches }: GpuPlan, device: GPUDevice): string | undefined {
  const most = largestTensor(device);
  for (const [name, { shape }] of Object.entries(scratch)) {
    if (sizeOf(shape) === 0 || deviceBytes(shape) > most) {
      return `what it keeps in between (${name} [${shape.join(', ')}]) is more than the device holds in one tensor`;
    }
  }
  const { maxComputeWorkgroupsPerDimension, maxStorageBuffersPerShaderStage } = device.limits;
  for (const { kernel, workgroups } of dispatches) {
    const tensors = tensorsBound(kernel);
    if (tensors > maxStorageBuffersPerShaderStage) {
      return `${kernel.name} binds more tensors (${tensors}) than the device does (${maxStorageBuffersPerShaderStage})`;
    }
    if (workgroups.some((count = 1) => count > maxComputeWorkgroupsPerDimension)) {
      return `${kernel.name} has more workgroups (${workgroups.join(' × ')}) than the device dispatches`;
    }
  }
  return undefined;
}

/** What the largest of an op's stages takes. */
interface StageNeeds {
  readonly buffers: number;
  readonly workgroupBytes: number;
}

/** What a device lacks for stages that need so much; `undefined` if it lacks nothing. */
export function shortageFor(
  { buffers, workgroupBytes }: StageNeeds,
  { limits }: GPUDevice,
): string | undefined {
  if (limits.maxStorageBuffersPerShaderStage < buffers)
    return `the device binds fewer than ${buffers} buffers`;
  if (limits.maxComputeWorkgroupStorageSize < workgroupBytes)
    return `the device has less than ${workgroupBytes} bytes of workgroup memory`;
  return undefined;
}

const said = new WeakMap<GPUDevice, Set<string>>();

/** Warns that an op runs in its portable form; once for each op and reason, on each device. */
export function sayOnce(device: GPUDevice, op: string, reason: string): void {
  const known = said.get(device) ?? new Set<string>();
  said.set(device, known);
  const key = `${op}: ${reason}`;
  if (known.has(key)) return;
  known.add(key);
  console.warn(`mnemix: ${op} runs in its portable form, which is slower: ${reason}.`);
}
