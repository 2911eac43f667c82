// The WebAssembly backend: SIMD always, threads where they can be had, and our kernels in place of its slow ones.
import type { KernelBackend } from '@tensorflow/tfjs-core';
import { checkConfig } from '../errors.ts';
import type { EmscriptenModule } from './emscripten.ts';
import { availableCores, isNode } from './environment.ts';
import { hostReport, reasonOf, type Opened, type Rejection } from './report.ts';
import { openSimd, openThreaded, type WasmPaths } from './wasm-browser.ts';
import { installWasmKernels } from './wasm-kernels/index.ts';
import { instantiateInNode, releaseThreads } from './wasm-node.ts';

export interface WasmOptions {
  /**
   * Threads that compute. Default: one for each core, at most 4; in Node the environment variable MNEMIX_THREADS sets
   * another. 1 switches threading off, which is faster where other programs keep the cores busy.
   */
  readonly threads?: number;
  /**
   * Browsers only: where the files of the folder `wasm-out` of `@tensorflow/tfjs-backend-wasm` are served: the URL of
   * the folder, or one URL for each file. Default: beside the page.
   */
  readonly wasmPaths?: WasmPaths;
}

export async function openWasm({ threads = defaultThreads(), wasmPaths = '' }: WasmOptions): Promise<Opened> {
  checkConfig(
    Number.isInteger(threads) && threads >= 1,
    'openBackend(threads)',
    `${threads} is no number of threads.`,
    'Pass a whole number from 1 on, or set MNEMIX_THREADS to one.',
  );
  if (!WebAssembly.validate(SIMD_PROBE)) throw new Error('this JavaScript engine has no WebAssembly SIMD');
  const open = (count: number): Promise<KernelBackend> => {
    if (isNode()) return openInNode(count);
    return count > 1 ? openThreaded(count, wasmPaths) : openSimd(wasmPaths);
  };
  const { instance, rejected } = await withFallback(open, Math.min(threads, availableCores()));
  const { getThreadsCount } = await import('@tensorflow/tfjs-backend-wasm');
  installWasmKernels();
  return { instance, report: hostReport('wasm', { simd: true, threads: getThreadsCount(), rejected }) };
}

const defaultThreads = (): number => Number((isNode() && process.env.MNEMIX_THREADS) || 4);

/** A function with one vector instruction. */
const SIMD_PROBE = Uint8Array.of(
  0,
  97,
  115,
  109,
  1,
  0,
  0,
  0,
  1,
  4,
  1,
  96,
  0,
  0,
  3,
  2,
  1,
  0,
  10,
  9,
  1,
  7,
  0,
  65,
  0,
  253,
  15,
  26,
  11,
);

interface Instance {
  readonly instance: KernelBackend;
  readonly rejected: readonly Rejection[];
}

/** With threads if they can be had, else on one, with the reason. */
async function withFallback(
  open: (threads: number) => Promise<KernelBackend>,
  threads: number,
): Promise<Instance> {
  if (threads === 1) return { instance: await open(1), rejected: [] };
  try {
    if (!isNode() && !globalThis.crossOriginIsolated) {
      throw new Error(
        'the page is not cross-origin isolated (headers Cross-Origin-Opener-Policy and -Embedder-Policy)',
      );
    }
    return { instance: await open(threads), rejected: [] };
  } catch (error) {
    return { instance: await open(1), rejected: [{ name: 'wasm threads', reason: reasonOf(error) }] };
  }
}

async function openInNode(threads: number): Promise<KernelBackend> {
  const { BackendWasm, setThreadsCount } = await import('@tensorflow/tfjs-backend-wasm');
  const module = await instantiateInNode(threads);
  setThreadsCount(threads);
  const instance = new BackendWasm(module);
  releaseThreads(module as unknown as EmscriptenModule);
  return instance;
}
