// tfjs's WASM backend as kernels see it, and how a kernel of ours takes the place of a stock one.
import {
  getKernel,
  registerKernel,
  unregisterKernel,
  type DataType,
  type KernelFunc,
  type NamedAttrMap,
  type TensorInfo,
  type TypedArray,
} from '@tensorflow/tfjs-core';

export interface WasmHeap {
  readonly wasm: {
    cwrap(name: string, result: null, parameters: readonly 'number'[]): (...args: number[]) => void;
    readonly tfjs: {
      registerTensor(id: number, size: number, pointer: number): void;
      disposeData(id: number): void;
    };
  };
  readonly dataIdMap: { get(dataId: object): { id: number; memoryOffset: number } };
  /** The next number by which compiled code knows a tensor. */
  dataIdNextNumber: number;
  makeOutput(shape: readonly number[], dtype: DataType): TensorInfo;
  typedArrayFromHeap(info: TensorInfo): TypedArray;
  incRef(dataId: object): void;
  disposeData(dataId: object): void;
}

export interface HeapCall<Inputs, Attrs> {
  readonly inputs: Inputs;
  readonly attrs: Attrs;
  readonly backend: WasmHeap;
}

/** Returns `undefined` for what it leaves to the stock kernel. */
export type HeapKernel<Inputs, Attrs> = (
  call: HeapCall<Inputs, Attrs>,
) => TensorInfo | TensorInfo[] | undefined;

/**
 * Registers `kernel` on the WASM backend under a stock kernel's name. Its set-up still runs when the backend opens.
 *
 * @param setup runs after the stock one
 */
export function replaceKernel<Inputs, Attrs>(
  kernelName: string,
  kernel: HeapKernel<Inputs, Attrs>,
  setup?: (backend: WasmHeap) => void,
): void {
  const stock = getKernel(kernelName, 'wasm');
  if (stock) unregisterKernel(kernelName, 'wasm');
  const kernelFunc: KernelFunc = (call) => {
    const made = kernel(call as unknown as HeapCall<Inputs, Attrs>);
    if (made !== undefined) return made;
    if (stock) return stock.kernelFunc(call);
    throw new Error(
      `${kernelName}: the WASM backend cannot do this for ${JSON.stringify(call.attrs as NamedAttrMap)}.`,
    );
  };
  const setupFunc = (backend: unknown): void => {
    stock?.setupFunc?.(backend as never);
    setup?.(backend as WasmHeap);
  };
  registerKernel({ ...stock, kernelName, backendName: 'wasm', kernelFunc, setupFunc });
}

/** Elements from one index of an axis to the next, row-major. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let axis = shape.length - 2; axis >= 0; axis--) {
    strides[axis] = (strides[axis + 1] as number) * (shape[axis + 1] as number);
  }
  return strides;
}
