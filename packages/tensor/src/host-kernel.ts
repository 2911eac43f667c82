// Kernels written as plain loops over typed arrays, for the two backends whose data lie in host memory.
import type { DataType, TensorInfo, TypedArray } from '@tensorflow/tfjs-core';
import type { BackendKernel, BackendName, OpInputs } from './define-op.ts';
import { sizeOf } from './shape.ts';

/** A tensor's data in place: write to `data` of an output, only read that of an input. */
export interface HostArray {
  readonly data: TypedArray;
  readonly shape: readonly number[];
}

export interface OutputSpec {
  readonly shape: readonly number[];
  readonly dtype?: Exclude<DataType, 'string' | 'complex64'>;
}

export interface HostKernel<I extends OpInputs, Attrs> {
  /** Shapes of the outputs, in the op's order. */
  readonly outputs: (
    inputs: { readonly [Name in keyof I]: TensorInfo },
    attrs: Attrs,
  ) => readonly OutputSpec[];
  /** Fills the outputs, which hold arbitrary values at first. */
  readonly run: (
    inputs: { readonly [Name in keyof I]: HostArray },
    outputs: readonly HostArray[],
    attrs: Attrs,
  ) => void;
}

/** The parts of tfjs's CPU and WASM backends that a host kernel needs. */
interface HostBackend {
  makeTensorInfo?(shape: number[], dtype: DataType, values?: TypedArray): TensorInfo;
  makeOutput?(shape: number[], dtype: DataType): TensorInfo;
  typedArrayFromHeap?(info: TensorInfo): TypedArray;
  data?: { get(dataId: object): { values: TypedArray } };
}

const arrayTypes = { float32: Float32Array, int32: Int32Array, bool: Uint8Array } as const;

/** Typed-array views of tensors on the CPU or WASM backend. A view of WASM memory is valid until the next allocation. */
export function hostView(backend: unknown, info: TensorInfo): HostArray {
  const host = backend as HostBackend;
  const data = host.typedArrayFromHeap
    ? host.typedArrayFromHeap(info)
    : (host.data as NonNullable<HostBackend['data']>).get(info.dataId).values;
  return { data, shape: info.shape };
}

/** An uninitialised tensor on the CPU or WASM backend. */
export function hostOutput(backend: unknown, { shape, dtype = 'float32' }: OutputSpec): TensorInfo {
  const host = backend as HostBackend;
  // The CPU backend has a method of this name too, with other arguments.
  if (host.typedArrayFromHeap && host.makeOutput) return host.makeOutput([...shape], dtype);
  return (host.makeTensorInfo as NonNullable<HostBackend['makeTensorInfo']>)(
    [...shape],
    dtype,
    new arrayTypes[dtype as 'float32'](sizeOf(shape)),
  );
}

/** The kernels of an op on `cpu` and `wasm`, from one loop over typed arrays. */
export function hostKernel<I extends OpInputs, Attrs>(
  kernel: HostKernel<I, Attrs>,
): Partial<Record<BackendName, BackendKernel<I, Attrs>>> {
  const run: BackendKernel<I, Attrs> = ({ inputs, attrs, backend }) => {
    // All allocations come first: growing the WASM memory would detach the views. To look at an input that lies on
    // another backend is to move it here.
    for (const info of Object.values(inputs)) hostView(backend, info as TensorInfo);
    const infos = kernel.outputs(inputs, attrs).map((spec) => hostOutput(backend, spec));
    const views = Object.fromEntries(
      Object.entries(inputs).map(([name, info]) => [name, hostView(backend, info as TensorInfo)]),
    );
    try {
      kernel.run(
        views as { [Name in keyof I]: HostArray },
        infos.map((info) => hostView(backend, info)),
        attrs,
      );
      return infos;
    } catch (error) {
      for (const { dataId } of infos) (backend as { disposeData(id: object): void }).disposeData(dataId);
      throw error;
    }
  };
  return { cpu: run, wasm: run };
}
