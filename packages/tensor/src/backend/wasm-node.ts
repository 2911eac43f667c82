// tfjs's WebAssembly module, instantiated by us in Node. tfjs itself has no threads there (its worker is a blob URL,
// which Node's Worker refuses), and its glue code installs process-wide handlers that turn every uncaught error into
// a crash and, when disposed, removes everybody's. The glue is therefore loaded as a CommonJS module whose `process`,
// `global` and `Worker` are ours.
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { builtin, nodeRequire } from './environment.ts';

/** What we touch of an Emscripten module. */
export interface EmscriptenModule {
  cwrap(name: string, result: 'number' | null, parameters: string[]): (...args: number[]) => number;
  tfjs?: Record<string, (...args: number[]) => number>;
  PThread?: { pthreads: Record<string, { unref(): void }>; terminateAllThreads(): void };
}

type Factory = (config: {
  instantiateWasm: (info: WebAssembly.Imports, receive: (instance: object, module: object) => void) => object;
  locateFile: (path: string) => string;
  mainScriptUrlOrBlob: string;
}) => Promise<EmscriptenModule>;

/**
 * Loads the SIMD build; with more than one thread, the threaded one.
 *
 * @param threads that compute, the calling one included
 */
export async function instantiateInNode(threads: number): Promise<ConstructorParameters<typeof BackendWasm>[0]> {
  const { readFileSync } = builtin('node:fs');
  const { dirname, join } = builtin('node:path');
  const manifest = nodeRequire().resolve('@tensorflow/tfjs-backend-wasm/package.json');
  const folder = join(dirname(manifest), 'wasm-out');
  const threaded = threads > 1;
  const glue = join(folder, threaded ? 'tfjs-backend-wasm-threaded-simd.js' : 'tfjs-backend-wasm.js');
  const binary = join(folder, threaded ? 'tfjs-backend-wasm-threaded-simd.wasm' : 'tfjs-backend-wasm-simd.wasm');

  const module = await new Promise<EmscriptenModule>((resolve, reject) => {
    const instantiate = loadGlue(glue, threads, reject);
    instantiate({
      locateFile: (path) => join(folder, path),
      mainScriptUrlOrBlob: glue,
      instantiateWasm: (info, receive) => {
        // tfjs uses half of the cores that it is told of.
        (info.env as Record<string, unknown>).emscripten_num_logical_cores = () => 2 * threads;
        WebAssembly.instantiate(readFileSync(binary), info).then((made) => receive(made.instance, made.module), reject);
        return {};
      },
    }).then(resolve, reject);
  });
  module.tfjs = {
    init: module.cwrap('init', null, []),
    initWithThreadsCount: module.cwrap('init_with_threads_count', null, ['number']),
    getThreadsCount: module.cwrap('get_threads_count', 'number', []),
    registerTensor: module.cwrap('register_tensor', null, ['number', 'number', 'number']),
    disposeData: module.cwrap('dispose_data', null, ['number']),
    dispose: module.cwrap('dispose', null, []),
  };
  return module as never;
}

/** Lets Node exit while the threads wait for work. Call once they run: starting one holds the process open again. */
export function releaseThreads({ PThread }: EmscriptenModule): void {
  for (const worker of Object.values(PThread?.pthreads ?? {})) worker.unref();
}

function loadGlue(path: string, threads: number, onThreadError: (error: Error) => void): Factory {
  // The glue starts eight workers, needed or not; besides the calling thread, one fewer than `threads` compute.
  const text = builtin('node:fs').readFileSync(path, 'utf8').replace('pthreadPoolSize=8', `pthreadPoolSize=${threads - 1}`);
  const quietProcess = Object.create(process, { on: { value: () => {} }, listeners: { value: () => [] } }) as object;
  const module = { exports: {} };
  const scope = {
    module,
    exports: module.exports,
    require: nodeRequire(),
    __filename: path,
    __dirname: builtin('node:path').dirname(path),
    process: quietProcess,
    global: {},
    Worker: threads > 1 ? threadWorker(path, onThreadError) : undefined,
  };
  builtin('node:vm').compileFunction(text, Object.keys(scope), { filename: path })(...Object.values(scope));
  return module.exports as Factory;
}

/** The class that the glue makes its threads of. */
function threadWorker(glue: string, onError: (error: Error) => void): typeof import('node:worker_threads').Worker {
  const { wasmWorkerContents } = nodeRequire()(glue.replace(/\.js$/, '.worker.js')) as { wasmWorkerContents: string };
  const source = wasmWorkerContents.replaceAll('\n', '\\n');
  return class extends builtin('node:worker_threads').Worker {
    constructor() {
      // Without the flags of this process, which may load a test runner or a loader into every thread.
      super(source, { eval: true, execArgv: [] });
      super.on('error', onError);
    }

    /** The glue would throw a thread's error where nobody can catch it. */
    override on(event: string, listener: (...args: never[]) => void): this {
      return event === 'error' ? this : super.on(event as 'message', listener as never);
    }
  };
}
