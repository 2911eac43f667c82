// Compiling ahead, so that no step of training or decoding waits for the compiler.
import { compileProgramsAhead, currentDevice, tidy } from '@mnemix/tensor';
import { settleChecks } from './checks.ts';
import { compilingAhead } from './pipelines.ts';

/**
 * Compiles everything that a step runs on WebGPU, our kernels and tfjs's, side by side; then runs it once, which proves that they
 * work. Where the current backend is another one there is nothing to compile, and nothing runs.
 *
 * ```ts
 * await warmUp(() => valueAndGrad((p: LmParams) => ({ value: model.loss(p, ids, targets).loss }))(params));
 * ```
 *
 * @param step runs with the shapes to come: other shapes may need other kernels. It is run twice, in a `tidy`, and what it makes is
 *   freed; it must not free what it is given, and cannot await what it computes.
 * @throws MnemixError `kernel` for a kernel that this device refuses; what the step throws
 */
export async function warmUp(step: () => unknown): Promise<void> {
  const device = currentDevice();
  if (!device) return;
  const run = (): void => tidy(() => void step());
  await compilingAhead(device, () => compileProgramsAhead(run));
  run();
  await device.queue.onSubmittedWorkDone();
  await settleChecks(device);
}
