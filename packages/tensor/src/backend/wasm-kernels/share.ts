// Kernels that have nothing to compute: their result is the input's buffer, counted once more. tfjs clones through
// Identity every tensor that it saves for the backward pass, and the stock kernels copy it. Sharing is safe because no
// kernel writes to a tensor that exists, and reads copy.
import { Cast, Identity, type DataType, type TensorInfo } from '@tensorflow/tfjs-core';
import { replaceKernel, type WasmHeap } from './heap.ts';

/** The same numbers, in the same order, under another shape. */
export function share(backend: WasmHeap, { dataId, shape, dtype }: TensorInfo, as = shape): TensorInfo {
  backend.incRef(dataId);
  return { dataId, shape: as, dtype };
}

export function installSharingKernels(): void {
  replaceKernel<{ x: TensorInfo }, object>(Identity, ({ inputs: { x }, backend }) =>
    x.dtype === 'string' ? undefined : share(backend, x),
  );
  replaceKernel<{ x: TensorInfo }, { dtype: DataType }>(
    Cast,
    ({ inputs: { x }, attrs: { dtype }, backend }) =>
      x.dtype === 'string' || x.dtype !== dtype ? undefined : share(backend, x),
  );
}
