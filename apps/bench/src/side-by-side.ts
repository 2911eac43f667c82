// Jobs in processes of their own, as many at a time as the machine has cores: each backend then has a core to itself. What has been
// computed is kept as it comes, so that a run that is cut off goes on where it was.
import { execFile } from 'node:child_process';
import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface SideBySide<Job, Result> {
  readonly jobs: readonly Job[];
  /** The command line of a job; it prints its result as JSON. */
  readonly argumentsOf: (job: Job) => readonly string[];
  /** Told each result as it comes. */
  readonly onResult: (result: Result) => void;
  /** Where results are kept by their command lines, one JSON a line. Those that are there already are not computed again. */
  readonly journal?: string | undefined;
}

/** Runs this program once for each job; the results in the order of the jobs. */
export async function sideBySide<Job, Result>({
  jobs,
  argumentsOf,
  onResult,
  journal,
}: SideBySide<Job, Result>): Promise<readonly Result[]> {
  const program = process.argv[1] as string;
  const known = await readJournal<Result>(journal);
  const results: Result[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < jobs.length) {
      const index = next++;
      const line = argumentsOf(jobs[index] as Job);
      const key = line.join(' ');
      const result = known.get(key) ?? (await compute(line));
      results[index] = result;
      onResult(result);
    }
  };
  const compute = async (line: readonly string[]): Promise<Result> => {
    const { stdout } = await run(process.execPath, [program, ...line]);
    const result = JSON.parse(stdout) as Result;
    if (journal) await appendFile(journal, `${JSON.stringify({ key: line.join(' '), result })}\n`);
    return result;
  };
  await Promise.all(Array.from({ length: Math.min(jobs.length, availableParallelism()) }, worker));
  return results;
}

async function readJournal<Result>(journal: string | undefined): Promise<Map<string, Result>> {
  if (journal === undefined) return new Map();
  await mkdir(dirname(journal), { recursive: true });
  const text = await readFile(journal, 'utf8').catch(() => '');
  // A line that was cut off by the end of the process is computed again.
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  if (whole.length < text.length) await writeFile(journal, whole);
  const lines = whole.split('\n').filter((line) => line !== '');
  return new Map(
    lines.map((line) => {
      const { key, result } = JSON.parse(line) as { key: string; result: Result };
      return [key, result];
    }),
  );
}
