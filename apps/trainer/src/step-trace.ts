// Where the time of one training step goes on a GPU, as a file for Perfetto.
import {
  deviceKernelTimes,
  deviceTrace,
  formatDeviceKernelTimes,
  MnemixError,
  profileDevice,
} from '@mnemix/tensor';
import { writeAtomically } from './files.ts';

/** By then everything is compiled. */
const TRACED_STEP = 3;

export interface StepTrace {
  /** Runs a step; the third one under the profiler. */
  run<T>(step: () => Promise<T>): Promise<T>;
}

/**
 * @param path of the trace, which https://ui.perfetto.dev opens
 * @param note told the time of each kernel, or why there is none
 */
export function createStepTrace(path: string, note: (line: string) => void): StepTrace {
  let steps = 0;
  return {
    async run(step) {
      steps++;
      if (steps !== TRACED_STEP) return step();
      let result: { readonly value: Awaited<ReturnType<typeof step>> } | undefined;
      try {
        const profile = await profileDevice(async () => {
          result = { value: await step() };
        });
        await writeAtomically(path, JSON.stringify(deviceTrace(profile)));
        note(`\n${formatDeviceKernelTimes(deviceKernelTimes(profile))}\ntrace       ${path}`);
      } catch (error) {
        // Only the profiler's own refusal comes before the step has run.
        if (!(error instanceof MnemixError && error.where === 'profileDevice')) throw error;
        note(`warning     no trace: ${error.message}`);
      }
      return result ? result.value : step();
    },
  };
}
