// Outcomes that WebGPU tells only later. An invalid shader throws nothing, and leaves what was in the buffers
// before; so the next call on the device, or the next read from it, throws in its place.
import type { MnemixError } from '@mnemix/tensor';

interface Checks {
  readonly pending: Set<Promise<void>>;
  /** Errors that nobody has been told yet. */
  readonly failed: MnemixError[];
}

const checks = new WeakMap<GPUDevice, Checks>();

function checksOf(device: GPUDevice): Checks {
  const known = checks.get(device) ?? { pending: new Set(), failed: [] };
  checks.set(device, known);
  return known;
}

/**
 * Runs a check in the background; {@link throwFailed} and {@link settleChecks} throw the error that it finds.
 */
export function checkLater(device: GPUDevice, check: () => Promise<MnemixError | undefined>): void {
  const { pending, failed } = checksOf(device);
  const running: Promise<void> = check().then((error) => {
    pending.delete(running);
    if (error) failed.push(error);
  });
  pending.add(running);
}

/** Throws the oldest error found, once. */
export function throwFailed(device: GPUDevice): void {
  const error = checksOf(device).failed.shift();
  if (error) throw error;
}

/** Waits for the running checks, then throws as {@link throwFailed} does. */
export async function settleChecks(device: GPUDevice): Promise<void> {
  await Promise.all(checksOf(device).pending);
  throwFailed(device);
}
