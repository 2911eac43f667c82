// The bridge to the SIMD kernels of assembly/. They run on the memory of tfjs's own WASM backend, so tensors go in
// and out by pointer; the kernels own nothing of that memory.
import {
  hostOutput,
  MnemixError,
  type BackendKernel,
  type BackendName,
  type OpInputs,
  type OutputSpec,
  type TensorInfo,
} from '@mnemix/tensor';
import { simd, simdThreads, type KernelName } from './generated.ts';

/** The compiled kernels, by the names that assembly/index.ts exports. All arguments and results are numbers. */
export type WasmExports = Readonly<Record<KernelName, (...args: number[]) => number>>;

/** A byte offset in the memory of the WASM backend; 0 stands for a tensor that is absent. */
export type Pointer = number;

export interface WasmCall<I extends OpInputs, Attrs> {
  readonly exports: WasmExports;
  readonly inputs: { readonly [Name in keyof I]-?: Pointer };
  /** In the order of the op's outputs. What they point to holds arbitrary values at first. */
  readonly outputs: readonly Pointer[];
  /** Shapes of the inputs that are present. */
  readonly shapes: { readonly [Name in keyof I]: readonly number[] };
  readonly attrs: Attrs;
  /** Uninitialised memory, aligned to 16 bytes and freed after the call. */
  readonly scratch: (bytes: number) => Pointer;
}

export interface WasmKernel<I extends OpInputs, Attrs> {
  /** Shapes of the outputs, in the op's order; `undefined` where the kernel cannot do this: then the portable form runs. */
  readonly outputs: (
    inputs: { readonly [Name in keyof I]: TensorInfo },
    attrs: Attrs,
  ) => readonly OutputSpec[] | undefined;
  readonly run: (call: WasmCall<I, Attrs>) => void;
}

/** The parts of tfjs's WASM backend that pointers need. */
interface WasmBackend {
  readonly wasm: {
    /** Set where the backend has threads; its memory is shared. */
    readonly wasmMemory?: WebAssembly.Memory;
    readonly asm: { readonly memory?: WebAssembly.Memory };
    _malloc(bytes: number): number;
    _free(pointer: Pointer): void;
  };
  readonly dataIdMap: { get(dataId: object): { readonly memoryOffset: number } };
  disposeData(dataId: object): void;
}

const ALIGNMENT = 16;
const instances = new WeakMap<WasmBackend, WasmExports | undefined>();

/**
 * The kernels on a backend's memory, instantiated at the first call; `undefined` where the engine has no SIMD.
 *
 * @throws MnemixError `kernel` if they do not fit this version of the backend
 */
function wasmExports(backend: WasmBackend): WasmExports | undefined {
  if (instances.has(backend)) return instances.get(backend);
  const memory = backend.wasm.wasmMemory ?? backend.wasm.asm.memory;
  if (memory === undefined) {
    throw new MnemixError({
      code: 'kernel',
      where: 'wasm bridge',
      message: "the WASM backend's memory was not found where tfjs 4.22 keeps it.",
      fix: 'Install @tensorflow/tfjs-backend-wasm 4.22.0.',
    });
  }
  const isShared = typeof SharedArrayBuffer === 'function' && memory.buffer instanceof SharedArrayBuffer;
  const binary = Uint8Array.from(atob(isShared ? simdThreads : simd), (char) => char.charCodeAt(0));
  // Small enough to compile synchronously, also on a browser's main thread.
  const exports = WebAssembly.validate(binary)
    ? (new WebAssembly.Instance(new WebAssembly.Module(binary), { env: { memory } }).exports as WasmExports)
    : undefined;
  instances.set(backend, exports);
  return exports;
}

/** Runs `f` with an allocator whose memory is freed when `f` ends, by return or by error. */
function withScratch(
  wasm: WasmBackend['wasm'],
  f: (scratch: WasmCall<OpInputs, unknown>['scratch']) => void,
): void {
  const blocks: Pointer[] = [];
  try {
    f((bytes) => {
      // `>>> 0`: the pointer comes back as a signed number, which matters beyond 2 GiB.
      const block = wasm._malloc(bytes + ALIGNMENT) >>> 0;
      if (block === 0) {
        throw new MnemixError({
          code: 'kernel',
          where: 'wasm scratch memory',
          message: `${bytes} bytes could not be allocated.`,
          fix: 'Use a smaller batch or shorter sequences.',
          detail: { bytes },
        });
      }
      blocks.push(block);
      return Math.ceil(block / ALIGNMENT) * ALIGNMENT;
    });
  } finally {
    for (const block of blocks) wasm._free(block);
  }
}

/** The kernel of an op on the `wasm` backend, from a compiled function on pointers. */
export function wasmKernel<I extends OpInputs, Attrs>(
  kernel: WasmKernel<I, Attrs>,
): Partial<Record<BackendName, BackendKernel<I, Attrs>>> {
  return {
    wasm: ({ inputs, attrs, backend }) => {
      const wasmBackend = backend as WasmBackend;
      const exports = wasmExports(wasmBackend);
      const specs = exports && kernel.outputs(inputs, attrs);
      if (exports === undefined || specs === undefined) return undefined;
      const infos = specs.map((spec) => hostOutput(backend, spec));
      const pointer = ({ dataId }: TensorInfo): Pointer => wasmBackend.dataIdMap.get(dataId).memoryOffset;
      const given = Object.entries(inputs) as [string, TensorInfo][];
      const pointers: Record<string, Pointer> = Object.fromEntries(
        given.map(([name, info]) => [name, pointer(info)]),
      );
      const absentIsNull = new Proxy(pointers, { get: (known, name) => known[name as string] ?? 0 });
      const shapes = Object.fromEntries(given.map(([name, { shape }]) => [name, shape]));
      try {
        withScratch(wasmBackend.wasm, (scratch) =>
          kernel.run({
            exports,
            inputs: absentIsNull as { [Name in keyof I]-?: Pointer },
            outputs: infos.map(pointer),
            shapes: shapes as unknown as WasmCall<I, Attrs>['shapes'],
            attrs,
            scratch,
          }),
        );
      } catch (error) {
        for (const { dataId } of infos) wasmBackend.disposeData(dataId);
        throw error;
      }
      return infos;
    },
  };
}
