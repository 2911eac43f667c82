// Kernels of tfjs's WebGPU backend that are wrong, replaced under their own names.
import {
  getKernel,
  registerKernel,
  unregisterKernel,
  type KernelConfig,
  type KernelFunc,
  type TensorInfo,
} from '@tensorflow/tfjs-core';

let installed = false;

/** Call once tfjs's kernels are registered. Does nothing the second time. */
export function installWebgpuKernels(): void {
  if (installed) return;
  installed = true;
  replace('Cast', (stock) => (call) => {
    const x = call.inputs.x as TensorInfo;
    const made = stock(call) as TensorInfo;
    return made.dtype === 'float32' && x.dtype !== 'float32' ? convert(made, call.backend) : made;
  });
  replace('Transpose', (stock) => (call) => {
    const x = call.inputs.x as TensorInfo;
    if (x.dtype === 'float32') return stock(call);
    const asFloat = run('Cast', { x }, { dtype: 'float32' }, call.backend);
    const moved = stock({ ...call, inputs: { x: asFloat } }) as TensorInfo;
    const made = run('Cast', { x: moved }, { dtype: x.dtype }, call.backend);
    for (const passing of [asFloat, moved]) dispose(passing, call.backend);
    return made;
  });
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
