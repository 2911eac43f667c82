// The WebAssembly backend: SIMD always, threads where they can be had, and our kernels in place of its slow ones.
import { env, findBackendFactory, type KernelBackend } from '@tensorflow/tfjs-core';
import { MnemixError } from '../errors.ts';
import { availableCores, isNode } from './environment.ts';
import { hostReport, type Opened, type Rejection } from './report.ts';
import { installWasmKernels } from './wasm-kernels/index.ts';
import { instantiateInNode, releaseThreads, type EmscriptenModule } from './wasm-node.ts';

type WasmFile = 'tfjs-backend-wasm-simd.wasm' | 'tfjs-backend-wasm-threaded-simd.wasm';

export interface WasmOptions {
  /** Threads that compute. Default: one for each core, at most 4. 1 switches threading off. */
  readonly threads?: number;
  /**
   * Browsers only: where the `.wasm` files of `@tensorflow/tfjs-backend-wasm` are served: the URL of their folder, or
   * one URL for each file. Default: beside the page.
   */
  readonly wasmPaths?: string | Partial<Record<WasmFile, string>>;
}

export async function openWasm(options: WasmOptions): Promise<Opened> {
  const simd = WebAssembly.validate(SIMD_PROBE);
  if (!simd) throw new Error('this JavaScript engine has no WebAssembly SIMD');
  const wanted = Math.max(1, Math.min(options.threads ?? 4, availableCores()));
  const { instance, rejected } = await (isNode() ? openInNode(wanted) : openInBrowser(wanted, options));
  const { getThreadsCount } = await import('@tensorflow/tfjs-backend-wasm');
  installWasmKernels();
  return { instance, report: hostReport('wasm', { simd, threads: getThreadsCount(), rejected }) };
}

/** A function with one vector instruction. */
const SIMD_PROBE = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 9, 1, 7, 0, 65, 0, 253, 15, 26, 11,
);

interface Instance {
  readonly instance: KernelBackend;
  readonly rejected: readonly Rejection[];
}

async function openInNode(threads: number): Promise<Instance> {
  const { BackendWasm, setThreadsCount } = await import('@tensorflow/tfjs-backend-wasm');
  try {
    const module = await instantiateInNode(threads);
    setThreadsCount(threads);
    const instance = new BackendWasm(module);
    releaseThreads(module as unknown as EmscriptenModule);
    return { instance, rejected: [] };
  } catch (error) {
    if (threads === 1) throw error;
    const { instance } = await openInNode(1);
    return { instance, rejected: [{ name: 'wasm threads', reason: String(error) }] };
  }
}

async function openInBrowser(threads: number, { wasmPaths = '' }: WasmOptions): Promise<Instance> {
  const { setThreadsCount, setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
  const threaded = threads > 1 && globalThis.crossOriginIsolated;
  const rejected = threads > 1 && !threaded ? [NOT_ISOLATED] : [];
  const file: WasmFile = threaded ? 'tfjs-backend-wasm-threaded-simd.wasm' : 'tfjs-backend-wasm-simd.wasm';
  const url = await fetchWasm(file, wasmPaths);
  // tfjs wants all three; it picks by these two flags.
  setWasmPaths({ 'tfjs-backend-wasm.wasm': url, 'tfjs-backend-wasm-simd.wasm': url, 'tfjs-backend-wasm-threaded-simd.wasm': url });
  env().set('WASM_HAS_SIMD_SUPPORT', true);
  env().set('WASM_HAS_MULTITHREAD_SUPPORT', threaded);
  setThreadsCount(threaded ? threads : 1);
  const create = findBackendFactory('wasm') as () => Promise<KernelBackend>;
  try {
    return { instance: await create(), rejected };
  } finally {
    URL.revokeObjectURL(url);
  }
}

const NOT_ISOLATED: Rejection = {
  name: 'wasm threads',
  reason: 'the page is not cross-origin isolated (headers Cross-Origin-Opener-Policy and -Embedder-Policy)',
};

/** Fetches the file ourselves, so that a wrong path says so instead of failing somewhere in compiled code. */
async function fetchWasm(file: WasmFile, paths: NonNullable<WasmOptions['wasmPaths']>): Promise<string> {
  const place = typeof paths === 'string' ? `${paths === '' || paths.endsWith('/') ? paths : `${paths}/`}${file}` : (paths[file] ?? file);
  const url = new URL(place, globalThis.document?.baseURI ?? globalThis.location.href).href;
  const response = await fetch(url, { credentials: 'same-origin' }).catch((cause: unknown) => failedFetch(url, String(cause)));
  if (!response.ok) return failedFetch(url, `the server answered ${response.status}`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (bytes[1] !== 0x61 || bytes[2] !== 0x73 || bytes[3] !== 0x6d) return failedFetch(url, 'this is not a WebAssembly file');
  return URL.createObjectURL(new Blob([bytes], { type: 'application/wasm' }));
}

function failedFetch(url: string, reason: string): never {
  throw new MnemixError({
    code: 'backend',
    where: 'openBackend(wasmPaths)',
    message: `could not load ${url}: ${reason}.`,
    fix: 'Serve the .wasm files of @tensorflow/tfjs-backend-wasm/dist, and pass their folder (or one URL each) as wasmPaths.',
    detail: { url },
  });
}
