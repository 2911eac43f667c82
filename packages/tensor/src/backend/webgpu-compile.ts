// Compiles the programs of tfjs's own WebGPU kernels ahead, side by side instead of one after the other.
import { engine, env } from '@tensorflow/tfjs-core';
import { MnemixError } from '../errors.ts';

const COMPILE_ONLY = 'WEBGPU_ENGINE_COMPILE_ONLY';

/**
 * Runs `run` without dispatching any program of tfjs's: those that are new are compiled instead. What it makes holds arbitrary
 * values. The current backend must be WebGPU.
 *
 * @throws MnemixError `kernel` where the device refuses one
 */
export async function compileProgramsAhead(run: () => void): Promise<void> {
  const { pipelineCache } = engine().backend as unknown as { pipelineCache: PipelineCache };
  let refused: Refusal | undefined;
  env().set(COMPILE_ONLY, true);
  try {
    run();
  } finally {
    env().set(COMPILE_ONLY, false);
    refused = await settle(pipelineCache);
  }
  if (refused) throw invalidProgram(refused);
}

/** By key; while it compiles, a pipeline's place holds the promise of it. */
type PipelineCache = Record<string, unknown>;

interface Refusal {
  readonly key: string;
  readonly cause: unknown;
}

/** Waits for what is being compiled; returns the first that the device refuses. */
async function settle(pipelineCache: PipelineCache): Promise<Refusal | undefined> {
  // All at once first, so that no refusal goes unheard while another is waited for.
  await Promise.allSettled(Object.values(pipelineCache));
  let refused: Refusal | undefined;
  for (const [key, compiling] of Object.entries(pipelineCache)) {
    if (!(compiling instanceof Promise)) continue;
    try {
      pipelineCache[key] = await compiling;
    } catch (cause) {
      delete pipelineCache[key];
      refused ??= { key, cause };
    }
  }
  return refused;
}

const invalidProgram = ({ key, cause }: Refusal): MnemixError =>
  new MnemixError({
    code: 'kernel',
    where: key,
    message: `the WGSL program is invalid on this device: ${cause instanceof Error ? cause.message : String(cause)}`,
    fix: 'Report it with the name of the device; the wasm backend runs without WebGPU.',
    cause,
  });
