// The bridge from ops to WebGPU: runs kernels on the buffers of tfjs's WebGPU backend. Dispatches are
// recorded into the compute pass that tfjs has open, so that its own and ours go out in one submit, in order;
// only the first use of a pipeline, which may prove invalid, is a submit of its own. This is the only file
// that knows the insides of that backend (tfjs 4.22).
import { env, type DataType } from '@tensorflow/tfjs-core';
import {
  areStockKernelsWanted,
  assertBackendHealthy,
  deviceBytes,
  MnemixError,
  passTimestamps,
  precisionOf,
  submitRecorded,
  type BackendKernel,
  type BackendName,
  type OpInputs,
  type Precision,
  type TensorInfo,
} from '@mnemix/tensor';
import { bindGroupOf } from './bind-groups.ts';
import { settleChecks, throwFailed } from './checks.ts';
import { sayOnce } from './fallback.ts';
import type { GpuOutput, GpuPlan } from './kernel.ts';
import { isCompilingAhead, compileAhead, probe, type Compiled } from './pipelines.ts';
import { compileSteps, hasUniforms, keptPlan, planKey, prepare, type Prepared, type Step } from './plans.ts';

export interface PlanCall<I extends OpInputs, Attrs> {
  /** Shapes of the inputs that are present. */
  readonly shapes: { readonly [Name in keyof I]: readonly number[] };
  readonly attrs: Attrs;
  /** For its limits and features. */
  readonly device: GPUDevice;
  /** What the backend was opened for. */
  readonly precision: Precision;
}

/** Whether no other tensor shares the buffer of this input. Only then can an output take it over, if the caller gives it away. */
export type IsSole<I extends OpInputs> = (input: keyof I & string) => boolean;

/** The parts of tfjs's WebGPU backend that recording needs; some are private there, in TypeScript only. */
interface TfjsWebGpu {
  readonly device: GPUDevice;
  readonly bufferManager: { owner: string };
  readonly tensorMap: { get(dataId: object): { resource?: GPUBuffer; readonly external?: boolean } };
  commandEncoder: GPUCommandEncoder | null;
  computePassEncoder: GPUComputePassEncoder | null;
  dispatchCountInPass: number;
  makeTensorInfo(shape: number[], dtype: DataType): TensorInfo;
  refCount(dataId: object): number;
  uploadToGPU(dataId: object): void;
  disposeData(dataId: object): boolean;
  makeUniforms(fields: { type: string; data: number[] }[]): GPUBufferBinding;
  ensureCommandEncoderReady(): void;
  endComputePassEncoder(): void;
  submitQueue(): void;
  read(dataId: object): Promise<unknown>;
}

export interface GpuKernelOptions<Attrs> {
  /** The attributes that the plan depends on, where others only change what `uniformsOfCall` gives. Default: all. */
  readonly planned?: (attrs: Attrs) => unknown;
  /** The plan depends on `isSole`. */
  readonly asksForOwners?: (attrs: Attrs) => boolean;
}

/**
 * The kernel of an op on the `webgpu` backend.
 *
 * @param makePlan the dispatches for these shapes. Where they cannot be done, the reason, e.g. `heads are wider than 256`, which is
 *   told once, or `undefined` where there is nothing to tell; then the portable form runs. Tensors without elements cannot be bound,
 *   so it is not asked about them. It is a function of shapes, attributes and device alone, and asked once for each.
 * @throws MnemixError `backend` for a tensor beyond what the device holds, `kernel` for an invalid kernel, `lost` after the device
 *   was lost; no tensor is left behind
 */
export function gpuKernel<I extends OpInputs, Attrs>(
  makePlan: (call: PlanCall<I, Attrs>, isSole: IsSole<I>) => GpuPlan | string | undefined,
  { planned = (attrs) => attrs, asksForOwners = () => false }: GpuKernelOptions<Attrs> = {},
): Partial<Record<BackendName, BackendKernel<I, Attrs>>> {
  return {
    webgpu: ({ op, inputs, attrs, backend }) => {
      const gpu = backend as TfjsWebGpu;
      const { device } = gpu;
      guardReads(gpu);
      assertBackendHealthy();
      throwFailed(device);
      if (areStockKernelsWanted()) return undefined;
      const given = Object.entries(inputs) as [string, TensorInfo][];
      const sole = asksForOwners(attrs) ? soleInputs(gpu, given) : undefined;
      const key = planKey(given, planned(attrs)) + (sole ? Array.from(sole).join() : '');
      const prepared = keptPlan(device, makePlan, key, () =>
        prepare(device, op, given, () => {
          const shapes = Object.fromEntries(given.map(([name, { shape }]) => [name, shape]));
          const call = { shapes, attrs, device, precision: precisionOf(backend) };
          return makePlan(call as unknown as PlanCall<I, Attrs>, (input) => sole?.has(input) ?? false);
        }),
      );
      if (prepared.plan) return runPlan(gpu, op, prepared, attrs, new Map(given));
      if (prepared.obstacle !== undefined) sayOnce(device, op, prepared.obstacle);
      return undefined;
    },
  };
}

/** The names of those whose buffer no other tensor shares, neither among them nor elsewhere. */
function soleInputs(gpu: TfjsWebGpu, given: readonly (readonly [string, TensorInfo])[]): Set<string> {
  const names = new Map<object, string>();
  for (const [name, { dataId }] of given) names.set(dataId, names.has(dataId) ? '' : name);
  const isSole = ([dataId, name]: readonly [object, string]): boolean =>
    name !== '' && gpu.refCount(dataId) === 1 && !gpu.tensorMap.get(dataId).external;
  return new Set(
    Array.from(names)
      .filter(isSole)
      .map(([, name]) => name),
  );
}

function runPlan(
  gpu: TfjsWebGpu,
  op: string,
  { plan, steps }: Extract<Prepared, { steps: unknown }>,
  attrs: unknown,
  tensors: Map<string, TensorInfo>,
): TensorInfo[] {
  const { device } = gpu;
  const make = (specs: Readonly<Record<string, GpuOutput>>): TensorInfo[] =>
    Object.entries(specs).map(([name, { shape, dtype = 'float32' }]) => {
      const info = gpu.makeTensorInfo([...shape], dtype);
      tensors.set(name, info);
      return info;
    });
  if (isCompilingAhead(device)) {
    for (const step of steps) compileAhead(device, step.kernel, hasUniforms(step));
    return make(plan.outputs);
  }
  // Pipelines first: one that is known to be invalid throws before there is anything to clean up.
  compileSteps(device, steps, describeUse(op, tensors));
  const outputs = make(plan.outputs);
  const scratch = make(plan.scratch ?? {});
  gpu.bufferManager.owner = op;
  try {
    // Before the first dispatch, since buffers for them may have to be made, which can fail.
    for (const [name, { over }] of Object.entries(plan.outputs)) {
      if (over !== undefined) moveBuffer(gpu, tensors, over, name);
    }
    for (const { dataId } of tensors.values()) gpu.uploadToGPU(dataId);
    for (const step of steps) record(gpu, step, attrs, tensors);
  } catch (error) {
    for (const { dataId } of outputs) gpu.disposeData(dataId);
    throw error;
  } finally {
    for (const { dataId } of scratch) gpu.disposeData(dataId);
  }
  return outputs;
}

/** Gives an output the buffer of an input, which is left without one. Its data stay apart, since reads are kept with them. */
function moveBuffer(gpu: TfjsWebGpu, tensors: Map<string, TensorInfo>, input: string, output: string): void {
  const { dataId } = tensors.get(input) as TensorInfo;
  const made = tensors.get(output) as TensorInfo;
  gpu.uploadToGPU(dataId);
  const data = gpu.tensorMap.get(dataId);
  gpu.tensorMap.get(made.dataId).resource = data.resource as GPUBuffer;
  delete data.resource;
  tensors.set(input, made);
}

/** E.g. `RmsNorm of x [8, 64], weight [64]`, made only when asked for: an error may come long after the call. */
function describeUse(op: string, inputs: ReadonlyMap<string, TensorInfo>): () => string {
  // What is made from here on is no input.
  const { size } = inputs;
  return () => {
    const shapes = Array.from(inputs).slice(0, size);
    return `${op} of ${shapes.map(([name, { shape }]) => `${name} [${shape.join(', ')}]`).join(', ')}`;
  };
}

function record(gpu: TfjsWebGpu, step: Step, attrs: unknown, tensors: ReadonlyMap<string, TensorInfo>): void {
  const { kernel, buffers, workgroups, flops } = step;
  const compiled = step.compiled as Compiled;
  const used = buffers.map((name) => tensors.get(name) ?? missingTensor(kernel.name, name));
  const resources: GPUBufferBinding[] = used.map(({ dataId }) => ({
    buffer: gpu.tensorMap.get(dataId).resource as GPUBuffer,
  }));
  const uniforms = uniformsOf(gpu, step, attrs);
  if (uniforms) resources.push(uniforms);
  const encode = (pass: GPUComputePassEncoder): void => {
    pass.setPipeline(compiled.pipeline);
    pass.setBindGroup(0, bindGroupOf(gpu.device, compiled, resources));
    pass.dispatchWorkgroups(...workgroups);
  };
  const bytes = (): number => used.reduce((sum, { shape }) => sum + deviceBytes(shape), 0);
  const timestampWrites = passTimestamps(gpu, () => ({ name: kernel.name, bytes: bytes(), flops }));
  const timed = timestampWrites && { label: kernel.name, timestampWrites };

  if (!compiled.isProven) {
    submitRecorded(gpu);
    probe(gpu.device, compiled, () => {
      const encoder = gpu.device.createCommandEncoder({ label: kernel.name });
      const pass = encoder.beginComputePass(timed);
      encode(pass);
      pass.end();
      gpu.device.queue.submit([encoder.finish()]);
    });
    return;
  }
  gpu.ensureCommandEncoderReady();
  if (timed) gpu.endComputePassEncoder();
  gpu.computePassEncoder ??= (gpu.commandEncoder as GPUCommandEncoder).beginComputePass(timed);
  encode(gpu.computePassEncoder);
  step.recording = gpu.commandEncoder;
  if (timed) gpu.endComputePassEncoder();
  gpu.dispatchCountInPass++;
  if (gpu.dispatchCountInPass >= env().getNumber('WEBGPU_DEFERRED_SUBMIT_BATCH_SIZE')) submitRecorded(gpu);
}

/** Uniforms that stay are one buffer for all that have the same; those that change are written into the step's own. */
function uniformsOf(gpu: TfjsWebGpu, step: Step, attrs: unknown): GPUBufferBinding | undefined {
  const { uniforms, uniformsOfCall } = step;
  if (!uniformsOfCall) {
    if (!uniforms) return undefined;
    step.uniformBinding ??= gpu.makeUniforms(uniforms.map(({ type, value }) => ({ type, data: [value] })));
    return step.uniformBinding;
  }
  const fields = uniformsOfCall(attrs as never);
  const { written } = step;
  if (step.uniformBinding && written && fields.every(({ value }, i) => value === written[i])) {
    return step.uniformBinding;
  }
  // The host writes before all that is recorded: what still waits for the numbers of another call goes first.
  if (step.recording && step.recording === gpu.commandEncoder) submitRecorded(gpu);
  const words = new Uint32Array(fields.length);
  const floats = new Float32Array(words.buffer);
  fields.forEach(({ type, value }, i) => ((type === 'float32' ? floats : words)[i] = value));
  step.written = fields.map(({ value }) => value);
  step.uniformBinding ??= {
    buffer: gpu.device.createBuffer({
      size: words.byteLength,
      usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.UNIFORM,
    }),
  };
  gpu.device.queue.writeBuffer(step.uniformBinding.buffer, 0, words);
  return step.uniformBinding;
}

function missingTensor(kernel: string, name: string): never {
  throw new MnemixError({
    code: 'kernel',
    where: kernel,
    message: `there is no tensor "${name}" to bind.`,
    fix: "Name inputs, outputs or scratch tensors in the dispatch's buffers.",
  });
}

const guarded = new WeakSet<TfjsWebGpu>();

/** Makes sure that nothing which an invalid kernel has left behind is read as if it were a result. */
function guardReads(gpu: TfjsWebGpu): void {
  if (guarded.has(gpu)) return;
  guarded.add(gpu);
  const read = gpu.read.bind(gpu);
  gpu.read = async (dataId) => {
    const values = await read(dataId);
    await settleChecks(gpu.device);
    return values;
  };
}
