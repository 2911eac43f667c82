// Kernels of tfjs's WebGPU backend that are wrong or slow, replaced under their own names.
import {
  getKernel,
  registerKernel,
  unregisterKernel,
  type KernelConfig,
  type KernelFunc,
  type TensorInfo,
} from '@tensorflow/tfjs-core';
import type { BackendKernel, OpInputs } from '../define-op.ts';
import { waveProgram } from './webgpu-sine.ts';

let installed = false;

/** How tfjs spreads a program over workgroups: what its package exports as `webgpu_util`. */
type Layout = Pick<
  (typeof import('@tensorflow/tfjs-backend-webgpu'))['webgpu_util'],
  'computeDispatch' | 'flatDispatchLayout'
>;

/** Call once tfjs's kernels are registered. Does nothing the second time. */
export function installWebgpuKernels(layout: Layout): void {
  if (installed) return;
  installed = true;
  for (const [kernelName, kernel] of offered) install(kernelName, kernel);
  replace('Cast', (stock) => (call) => {
    const x = call.inputs.x as TensorInfo;
    const made = stock(call) as TensorInfo;
    return made.dtype === 'float32' && x.dtype !== 'float32' ? convert(made, call.backend) : made;
  });
  replace('Transpose', (stock) => (call) => {
    const x = call.inputs.x as TensorInfo;
    if (x.dtype === 'float32') return stock(call);
    const program = moveIntegers(x.shape, (call.attrs as unknown as { perm: number[] }).perm, layout);
    return (call.backend as ProgramRunner).runWebGPUProgram(program, [x], x.dtype);
  });
  for (const [kernelName, wave] of [
    ['Sin', 'sin'],
    ['Cos', 'cos'],
  ] as const) {
    replace(kernelName, () => (call) => {
      const x = call.inputs.x as TensorInfo;
      const program = waveProgram(wave, x.shape, layout as never);
      return (call.backend as ProgramRunner).runWebGPUProgram(program, [x], 'float32');
    });
  }
}

type AnyKernel = BackendKernel<OpInputs, never>;

/** Replacements from other packages. */
const offered = new Map<string, AnyKernel>();
let areOfferedUsed = true;

/**
 * Replaces a kernel of tfjs with one output on WebGPU. It takes what tfjs's takes, under tfjs's names; where it returns
 * `undefined`, tfjs's own runs. May be called before the backend is opened.
 */
export function replaceWebgpuKernel<Attrs>(
  kernelName: string,
  kernel: BackendKernel<Record<string, never>, Attrs>,
): void {
  offered.set(kernelName, kernel as AnyKernel);
  if (installed) install(kernelName, kernel as AnyKernel);
}

/**
 * For comparisons: on WebGPU, runs tfjs's own kernels in place of those of {@link replaceWebgpuKernel}, and the portable forms of
 * ops in place of their own kernels.
 */
export function withStockKernels<T>(run: () => T): T {
  areOfferedUsed = false;
  try {
    return run();
  } finally {
    areOfferedUsed = true;
  }
}

/** True inside {@link withStockKernels}. */
export const areStockKernelsWanted = (): boolean => !areOfferedUsed;

function install(kernelName: string, kernel: AnyKernel): void {
  replace(kernelName, (stock) => (call) => {
    const given = { op: kernelName, ...(call as unknown as Omit<Parameters<AnyKernel>[0], 'op'>) };
    const made = areOfferedUsed ? kernel(given) : undefined;
    return made?.[0] ?? stock(call);
  });
}

interface ProgramRunner {
  runWebGPUProgram(program: object, inputs: TensorInfo[], dtype: string): TensorInfo;
}

/** A transposition of integers, in the form of tfjs's programs; its own writes floats (trap 25). */
function moveIntegers(
  shape: readonly number[],
  perm: readonly number[],
  { computeDispatch, flatDispatchLayout }: Layout,
): object {
  const outputShape = perm.map((axis) => shape[axis] as number);
  const rank = perm.length;
  const coordinates = rank > 4 ? `vec${rank}` : `vec${rank}<i32>`;
  const from = shape.map((_, axis) => `coords.${'xyzwuv'[perm.indexOf(axis)]}`);
  const workgroupSize: [number, number, number] = [64, 1, 1];
  const dispatchLayout = flatDispatchLayout(outputShape);
  return {
    variableNames: ['A'],
    workgroupSize,
    size: true,
    outputShape,
    dispatchLayout,
    dispatch: computeDispatch(dispatchLayout, outputShape, workgroupSize),
    shaderKey: `mnemix_transpose_${perm.join()}`,
    getUserCode: () => `
      fn main(index : i32) {
        if (index < uniforms.size) {
          let coords = getCoordsFromIndex(index);
          let source = getIndexFromCoords${rank}D(${coordinates}(${from.join()}), uniforms.aShape);
          setOutputAtIndexI32(index, A[source]);
        }
      }`,
  };
}

/**
 * A cast to float32 only relabels the integers in the buffer (trap 25): most shaders convert when they read, those that
 * move data do not, and do not compile. A product with one makes floats of them.
 */
function convert(relabelled: TensorInfo, backend: unknown): TensorInfo {
  const one = (
    backend as { makeTensorInfo(shape: number[], dtype: string, values: Float32Array): TensorInfo }
  ).makeTensorInfo([], 'float32', Float32Array.of(1));
  const made = run('Multiply', { a: relabelled, b: one }, {}, backend);
  for (const passing of [relabelled, one]) dispose(passing, backend);
  return made;
}

const run = (name: string, inputs: Record<string, TensorInfo>, attrs: object, backend: unknown): TensorInfo =>
  (getKernel(name, 'webgpu') as KernelConfig).kernelFunc({
    inputs,
    attrs: attrs as never,
    backend,
  } as never) as TensorInfo;

const dispose = ({ dataId }: TensorInfo, backend: unknown): void => {
  (backend as { disposeData(id: object): void }).disposeData(dataId);
};

function replace(kernelName: string, wrap: (stock: KernelFunc) => KernelFunc): void {
  const stock = getKernel(kernelName, 'webgpu') as KernelConfig;
  unregisterKernel(kernelName, 'webgpu');
  registerKernel({ ...stock, kernelFunc: wrap(stock.kernelFunc) });
}
