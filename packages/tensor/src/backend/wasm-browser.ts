// WASM in browsers. One thread: as tfjs opens it. More: by the original glue code, fetched as it is, since what a
// bundler made of it cannot be sent to workers.
import { env, findBackendFactory, type KernelBackend } from '@tensorflow/tfjs-core';
import { MnemixError } from '../errors.ts';
import { instantiate, restoreEscapes, withPool, type Factory } from './emscripten.ts';

/** Files in the folder `wasm-out` of `@tensorflow/tfjs-backend-wasm`. */
export type WasmFile =
  | 'tfjs-backend-wasm-simd.wasm'
  | 'tfjs-backend-wasm-threaded-simd.wasm'
  | 'tfjs-backend-wasm-threaded-simd.js'
  | 'tfjs-backend-wasm-threaded-simd.worker.js';

/** The URL of a folder that has the files, or a URL for each. */
export type WasmPaths = string | Partial<Record<WasmFile, string>>;

/** tfjs forgets how to open a backend that was removed. */
let openByTfjs: (() => KernelBackend | Promise<KernelBackend>) | undefined;

/** The SIMD build on one thread. */
export async function openSimd(paths: WasmPaths): Promise<KernelBackend> {
  const { setThreadsCount, setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
  openByTfjs ??= findBackendFactory('wasm');
  const binary = new Blob([await fetchBinary('tfjs-backend-wasm-simd.wasm', paths)], {
    type: 'application/wasm',
  });
  const url = URL.createObjectURL(binary);
  // tfjs wants all three names, and picks by the two flags.
  setWasmPaths({
    'tfjs-backend-wasm.wasm': url,
    'tfjs-backend-wasm-simd.wasm': url,
    'tfjs-backend-wasm-threaded-simd.wasm': url,
  });
  env().set('WASM_HAS_SIMD_SUPPORT', true);
  env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
  setThreadsCount(1);
  try {
    return await openByTfjs();
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** The threaded SIMD build. The page must be cross-origin isolated. */
export async function openThreaded(threads: number, paths: WasmPaths): Promise<KernelBackend> {
  const { BackendWasm, setThreadsCount } = await import('@tensorflow/tfjs-backend-wasm');
  const [binary, glue, worker] = await Promise.all([
    fetchBinary('tfjs-backend-wasm-threaded-simd.wasm', paths),
    fetchText('tfjs-backend-wasm-threaded-simd.js', paths),
    fetchText('tfjs-backend-wasm-threaded-simd.worker.js', paths),
  ]);
  const makeFactory = await importText<(Thread: typeof Worker) => Factory>(
    `export default (Worker) => { ${withPool(glue, threads)}; return WasmBackendModuleThreadedSimd; }`,
  );
  const contents = await importText<string>(
    `const module = { exports: {} }; ${worker}; export default module.exports.wasmWorkerContents;`,
  );
  const threadScript = objectUrl(restoreEscapes(contents));
  try {
    const module = await instantiate({
      threads,
      loadGlue: (fail) => makeFactory(threadWorker(fail)),
      binary,
      mainScript: new Blob([glue], { type: 'text/javascript' }),
      locateFile: (path) => (path.endsWith('.worker.js') ? threadScript : path),
    });
    setThreadsCount(threads);
    return new BackendWasm(module);
  } finally {
    URL.revokeObjectURL(threadScript);
  }
}

/** The class that the glue makes its threads of: reports an error where the glue would throw it at the page. */
function threadWorker(fail: (error: Error) => void): typeof Worker {
  return class extends Worker {
    constructor(script: string | URL) {
      super(script);
      this.addEventListener('error', (event) => {
        event.preventDefault();
        fail(new Error(event.message || 'a thread could not be started'));
      });
      Object.defineProperty(this, 'onerror', { set: () => {} });
    }
  };
}

const objectUrl = (script: string): string =>
  URL.createObjectURL(new Blob([script], { type: 'text/javascript' }));

/** The default export of a module given as text. */
async function importText<T>(script: string): Promise<T> {
  const url = objectUrl(script);
  try {
    return ((await import(/* @vite-ignore */ url)) as { default: T }).default;
  } finally {
    URL.revokeObjectURL(url);
  }
}

async function fetchBinary(file: WasmFile, paths: WasmPaths): Promise<ArrayBuffer> {
  const { url, response } = await fetchFile(file, paths);
  const bytes = await response.arrayBuffer();
  // Servers of single-page applications answer every address, with a page.
  if (new TextDecoder().decode(bytes.slice(0, 4)) !== '\0asm')
    return failed(url, 'this is not a WebAssembly file');
  return bytes;
}

async function fetchText(file: WasmFile, paths: WasmPaths): Promise<string> {
  const { url, response } = await fetchFile(file, paths);
  if (/html/.test(response.headers.get('content-type') ?? ''))
    return failed(url, 'this is a page, not a script');
  return response.text();
}

async function fetchFile(file: WasmFile, paths: WasmPaths): Promise<{ url: string; response: Response }> {
  const place = typeof paths === 'string' ? paths.replace(/(?<=[^/])$/, '/') + file : paths[file];
  if (place === undefined) return failed(file, 'wasmPaths has no URL for it');
  const url = new URL(place, globalThis.document?.baseURI ?? globalThis.location.href).href;
  const response = await fetch(url, { credentials: 'same-origin' }).catch((cause: unknown) =>
    failed(url, String(cause)),
  );
  return response.ok ? { url, response } : failed(url, `the server answered ${response.status}`);
}

function failed(url: string, reason: string): never {
  throw new MnemixError({
    code: 'backend',
    where: 'openBackend(wasmPaths)',
    message: `could not load ${url}: ${reason}.`,
    fix: 'Serve the folder wasm-out of @tensorflow/tfjs-backend-wasm, and pass its URL as wasmPaths.',
    detail: { url },
  });
}
