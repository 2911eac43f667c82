// What a run computes with, written into its folder: bits are the same only where that is the same.
import type { BackendReport } from '@mnemix/tensor';
import { readJsonIfThere, writeAtomically } from './files.ts';
import { describeDevice } from './summary.ts';

interface Device {
  /** The backend's name. */
  readonly name: string;
  readonly threads: number;
  /** In words. */
  readonly description: string;
}

/**
 * Writes down what a run computes with from now on.
 *
 * @returns what it computed with before, in words, if that was something else
 */
export async function recordDevice(path: string, report: BackendReport): Promise<string | undefined> {
  const device: Device = {
    name: report.name,
    threads: report.threads,
    description: describeDevice(report),
  };
  const before = (await readJsonIfThere(path)) as Device | undefined;
  if (before?.description === device.description) return undefined;
  await writeAtomically(path, `${JSON.stringify(device, undefined, 2)}\n`);
  return before?.description;
}
