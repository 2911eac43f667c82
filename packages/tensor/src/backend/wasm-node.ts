// WASM in Node. tfjs's glue code installs process-wide handlers that turn every uncaught error into a crash, and when
// it is disposed removes everybody's; so it is loaded as a CommonJS module whose `process` is ours.
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { instantiate, restoreEscapes, withPool, type EmscriptenModule, type Factory } from './emscripten.ts';
import { builtin, nodeRequire } from './environment.ts';

/**
 * The SIMD build; with more than one thread, the threaded one.
 *
 * @param threads that compute, the calling one included
 */
export async function instantiateInNode(
  threads: number,
): Promise<ConstructorParameters<typeof BackendWasm>[0]> {
  const { dirname, join } = builtin('node:path');
  const manifest = nodeRequire().resolve('@tensorflow/tfjs-backend-wasm/package.json');
  const folder = join(dirname(manifest), 'wasm-out');
  const threaded = threads > 1;
  const glue = join(folder, threaded ? 'tfjs-backend-wasm-threaded-simd.js' : 'tfjs-backend-wasm.js');
  const binary = join(
    folder,
    threaded ? 'tfjs-backend-wasm-threaded-simd.wasm' : 'tfjs-backend-wasm-simd.wasm',
  );
  return instantiate({
    threads,
    loadGlue: (fail) => runGlue(glue, threads, fail),
    binary: builtin('node:fs').readFileSync(binary),
    mainScript: glue,
    locateFile: (path) => join(folder, path),
  });
}

/** Lets Node exit while the threads wait for work. Call once they run: starting one holds the process open again. */
export function releaseThreads({ PThread }: EmscriptenModule): void {
  for (const worker of Object.values(PThread?.pthreads ?? {})) worker.unref?.();
}

function runGlue(path: string, threads: number, fail: (error: Error) => void): Factory {
  const quietProcess = Object.create(process, {
    on: { value: () => {} },
    listeners: { value: () => [] },
  }) as object;
  const module = { exports: {} };
  const scope = {
    module,
    exports: module.exports,
    require: nodeRequire(),
    __filename: path,
    __dirname: builtin('node:path').dirname(path),
    process: quietProcess,
    global: {},
    Worker: threads > 1 ? threadWorker(path, fail) : undefined,
  };
  const text = withPool(builtin('node:fs').readFileSync(path, 'utf8'), threads);
  builtin('node:vm').compileFunction(text, Object.keys(scope), { filename: path })(...Object.values(scope));
  return module.exports as Factory;
}

/** The class that the glue makes its threads of. */
function threadWorker(
  glue: string,
  fail: (error: Error) => void,
): typeof import('node:worker_threads').Worker {
  const { wasmWorkerContents } = nodeRequire()(glue.replace(/\.js$/, '.worker.js')) as {
    wasmWorkerContents: string;
  };
  return class extends builtin('node:worker_threads').Worker {
    constructor() {
      // Without the flags of this process, which may load a test runner or a loader into every thread.
      super(restoreEscapes(wasmWorkerContents), { eval: true, execArgv: [] });
      super.on('error', fail);
    }

    /** The glue would throw a thread's error where nobody can catch it. */
    override on(event: string, listener: (...args: never[]) => void): this {
      return event === 'error' ? this : super.on(event as 'message', listener as never);
    }
  };
}
