// Outcomes that WebGPU tells only later. An invalid shader throws nothing, and leaves what was in the buffers
// before; so the next call on the device, or the next read from it, throws in its place. So do all that follow: what
// has been computed from those buffers since is not known.
import { MnemixError } from '@mnemix/tensor';

interface Checks {
  readonly pending: Set<Promise<void>>;
  /** The first error found. */
  failed?: MnemixError;
}

const checks = new WeakMap<GPUDevice, Checks>();

function checksOf(device: GPUDevice): Checks {
  const known = checks.get(device) ?? { pending: new Set() };
  checks.set(device, known);
  return known;
}

/**
 * Runs a check in the background; {@link throwFailed} and {@link settleChecks} throw the error that it finds.
 */
export function checkLater(device: GPUDevice, check: () => Promise<MnemixError | undefined>): void {
  const known = checksOf(device);
  const running: Promise<void> = check()
    .catch(unanswered)
    .then((error) => {
      known.pending.delete(running);
      known.failed ??= error;
    });
  known.pending.add(running);
}

const unanswered = (cause: unknown): MnemixError =>
  new MnemixError({
    code: 'backend',
    where: 'webgpu',
    message: 'the device did not say whether its kernels are valid.',
    fix: 'Open the backend again: closeBackend(), openBackend().',
    cause,
  });

/** Throws the first error found on the device, if any. */
export function throwFailed(device: GPUDevice): void {
  const { failed } = checksOf(device);
  if (failed) throw failed;
}

/** Waits for the running checks, then throws as {@link throwFailed} does. */
export async function settleChecks(device: GPUDevice): Promise<void> {
  await Promise.all(checksOf(device).pending);
  throwFailed(device);
}
