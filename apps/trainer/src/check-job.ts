// The last check before anything is written: every model, task and optimiser of a job can be built.
import type { Config } from './config.ts';
import { variantsOf } from './plan-job.ts';
import { openDevice, type Parts } from './parts.ts';
import { sizeOf } from './result.ts';

/** @throws MnemixError where a part refuses its configuration, a file cannot be used, or there is no such device */
export async function checkJob(config: Config, build: (config: Config) => Promise<Parts>): Promise<void> {
  await openDevice(config);
  for (const variant of Object.values(variantsOf(config))) sizeOf(await build(variant), variant.model);
}
