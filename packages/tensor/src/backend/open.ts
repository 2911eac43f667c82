// Opening and closing a backend.
import { engine, registerBackend, removeBackend, setBackend } from '@tensorflow/tfjs-core';
import type { BackendName } from '../define-op.ts';
import { checkConfig, MnemixError } from '../errors.ts';
import { openCpu } from './cpu.ts';
import { reasonOf, type BackendChoice, type BackendReport, type Opened, type Rejection } from './report.ts';
import { openWasm, type WasmOptions } from './wasm.ts';
import { openSoftwareWebgpu, openWebgpu, type WebgpuOptions } from './webgpu.ts';

export interface BackendOptions extends WasmOptions, WebgpuOptions {}

/** How each choice is opened, in the order of preference. Throws the reason why not. */
export const openers: Readonly<Record<BackendChoice, (options: BackendOptions) => Promise<Opened>>> = {
  webgpu: openWebgpu,
  wasm: openWasm,
  cpu: openCpu,
  'webgpu-software': openSoftwareWebgpu,
};

const AUTOMATIC: readonly BackendChoice[] = ['webgpu', 'wasm', 'cpu'];

/** What we opened and have not closed, by the name of its kernels, and the options that it was opened with. */
const opened = new Map<BackendName, Promise<Opened>>();
const openedWith = new Map<BackendName, BackendOptions>();

/**
 * Opens a backend and makes it the current one.
 *
 * `auto` takes the first that works of WebGPU on a real GPU, WASM (SIMD, threads) and plain CPU. A software WebGPU
 * adapter is opened only by its name. A backend that is open already is switched to; tensors of the other stay valid
 * and move when they are used (not out of WebGPU: read them first). It keeps the options it was opened with.
 *
 * @throws MnemixError `backend`, with the reason for each one tried; `config` for an option that is out of range, or
 *   that the backend, already open, does not have
 */
export async function openBackend(
  name: BackendChoice | 'auto' = 'auto',
  options: BackendOptions = {},
): Promise<BackendReport> {
  const rejected: Rejection[] = [];
  for (const choice of name === 'auto' ? AUTOMATIC : [name]) {
    try {
      const { report } = await open(choice, options);
      return { ...report, rejected: [...rejected, ...report.rejected] };
    } catch (error) {
      if (error instanceof MnemixError && (name !== 'auto' || error.code === 'config')) throw error;
      rejected.push({ name: choice, reason: reasonOf(error) });
    }
  }
  throw new MnemixError({
    code: 'backend',
    where: `openBackend('${name}')`,
    message: `${rejected.map(({ name: tried, reason }) => `${tried}: ${reason}`).join('; ')}.`,
    fix:
      name === 'auto'
        ? 'See doctor() for what each backend needs.'
        : "Open another one, or 'auto' for the best that works.",
    detail: { rejected },
  });
}

async function open(choice: BackendChoice, options: BackendOptions): Promise<Opened> {
  const name: BackendName = choice === 'webgpu-software' ? 'webgpu' : choice;
  let pending = opened.get(name);
  if (!pending) {
    pending = create(name, choice, options);
    opened.set(name, pending);
    openedWith.set(name, options);
    pending.catch(() => opened.delete(name));
  }
  const made = await pending;
  if (made.report.software !== (choice === 'webgpu-software')) {
    throw new Error(
      `the open WebGPU adapter is ${made.report.software ? 'a software one' : 'a real one'}: call closeBackend() first`,
    );
  }
  checkOptions(name, options, made);
  await setBackend(name);
  return made;
}

/** A backend that is open cannot change. */
function checkOptions(name: BackendName, asked: BackendOptions, { report }: Opened): void {
  const { threads, powerPreference = 'high-performance', precision = 'float32' } = openedWith.get(name) ?? {};
  const has: Readonly<Record<BackendName, BackendOptions>> = {
    webgpu: { powerPreference, precision },
    wasm: { threads: asked.threads === threads ? threads : report.threads },
    cpu: {},
  };
  for (const [option, found] of Object.entries(has[name])) {
    const wanted = asked[option as keyof BackendOptions];
    checkConfig(
      wanted === undefined || wanted === found,
      `openBackend(${option})`,
      `the ${name} backend is open already, with ${String(found)}, not ${String(wanted)}.`,
      'Leave the option out, or call closeBackend() first.',
    );
  }
}

async function create(name: BackendName, choice: BackendChoice, options: BackendOptions): Promise<Opened> {
  const made = await openers[choice](options);
  // Importing a tfjs backend registers it with tfjs's own way of opening it; ours takes its place.
  if (engine().backendNames().includes(name)) removeBackend(name);
  registerBackend(name, () => made.instance);
  return made;
}

/** The open backend of this name, if any. */
export const openedBackend = (name: BackendName): Promise<Opened> | undefined => opened.get(name);

/**
 * Closes every backend that {@link openBackend} opened: their tensors are gone, threads end, devices are destroyed,
 * and Node can exit.
 */
export async function closeBackend(): Promise<void> {
  const closing = [...opened];
  opened.clear();
  for (const [name, pending] of closing) {
    const { close } = await pending;
    if (engine().backendNames().includes(name)) removeBackend(name);
    close?.();
  }
}
