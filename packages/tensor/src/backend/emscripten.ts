// tfjs's compiled WebAssembly, instantiated by us rather than by tfjs, which cannot start threads in Node (its worker
// is a blob URL, which Node's Worker refuses) nor in a bundled page (it sends its own minified source to the workers).
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';

/** What we touch of an Emscripten module. */
export interface EmscriptenModule {
  cwrap(name: string, result: 'number' | null, parameters: string[]): (...args: number[]) => number;
  tfjs?: Record<string, (...args: number[]) => number>;
  readonly PThread?: { readonly pthreads: Record<string, { unref?(): void }> };
}

/** What the JavaScript that Emscripten made ("glue") exports. */
export type Factory = (config: {
  instantiateWasm: (info: WebAssembly.Imports, receive: (instance: object, module: object) => void) => object;
  locateFile: (path: string) => string;
  mainScriptUrlOrBlob: string | Blob;
}) => Promise<EmscriptenModule>;

export interface Parts {
  /** Runs the glue, with `fail` to be called if one of its threads breaks down. */
  readonly loadGlue: (fail: (error: Error) => void) => Factory;
  readonly binary: BufferSource;
  /** The glue once more, for the threads. */
  readonly mainScript: string | Blob;
  /** Where the glue finds the script of its threads. */
  readonly locateFile: (path: string) => string;
  /** Threads that compute, the calling one included. */
  readonly threads: number;
}

/** A thread that does not answer would otherwise be waited for without end. */
const SECONDS_TO_START = 20;

/** @throws Error if it cannot be compiled, or its threads do not start */
export async function instantiate(parts: Parts): Promise<ConstructorParameters<typeof BackendWasm>[0]> {
  const { loadGlue, binary, mainScript, locateFile, threads } = parts;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const module = await new Promise<EmscriptenModule>((resolve, reject) => {
    timer = setTimeout(() => reject(new Error('its threads did not start')), 1000 * SECONDS_TO_START);
    loadGlue(reject)({
      locateFile,
      mainScriptUrlOrBlob: mainScript,
      instantiateWasm: (info, receive) => {
        // tfjs uses half of the cores that it is told of.
        (info.env as Record<string, unknown>).emscripten_num_logical_cores = () => 2 * threads;
        WebAssembly.instantiate(binary, info).then((made) => receive(made.instance, made.module), reject);
        return {};
      },
    }).then(resolve, reject);
  }).finally(() => clearTimeout(timer));
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

/** The glue starts eight workers, needed or not; besides the calling thread, one fewer than `threads` compute. */
export const withPool = (glue: string, threads: number): string =>
  glue.replace('pthreadPoolSize=8', `pthreadPoolSize=${threads - 1}`);

/** A script kept in a template string, whose line breaks were once escape sequences. */
export const restoreEscapes = (script: string): string => script.replaceAll('\n', '\\n');
