// Jobs in processes of their own, as many at a time as the machine has cores: each backend then has a core to itself.
import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * Runs this program once for each job, and reads what it prints as JSON, in the order of the jobs.
 *
 * @param argumentsOf the command line of a job
 * @param onResult told each result as it comes
 */
export async function sideBySide<Job, Result>(
  jobs: readonly Job[],
  argumentsOf: (job: Job) => readonly string[],
  onResult: (result: Result) => void,
): Promise<readonly Result[]> {
  const program = process.argv[1] as string;
  const results: Result[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < jobs.length) {
      const index = next++;
      const { stdout } = await run(process.execPath, [program, ...argumentsOf(jobs[index] as Job)]);
      const result = JSON.parse(stdout) as Result;
      results[index] = result;
      onResult(result);
    }
  };
  await Promise.all(Array.from({ length: Math.min(jobs.length, availableParallelism()) }, worker));
  return results;
}
