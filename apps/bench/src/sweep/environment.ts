// What results depend on beside their jobs.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { arch, cpus, platform } from 'node:os';
import type { KeyedJob } from './expand.ts';
import type { JobRecord, Outcome } from './record.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/** Of the working tree, e.g. `d3a873640f12-dirty`; nothing where there is none, or no git. */
function commit(): { readonly commit?: string } {
  const { status, stdout } = spawnSync(
    'git',
    ['describe', '--always', '--dirty', '--abbrev=12', '--exclude=*'],
    {
      cwd: import.meta.dirname,
      encoding: 'utf8',
    },
  );
  return status === 0 ? { commit: stdout.trim() } : {};
}

const environment = {
  mnemix: version,
  ...commit(),
  node: process.version,
  platform: `${platform()} ${arch()}`,
  cpu: cpus()[0]?.model.trim() ?? 'unknown',
};

/** A job that has just ended on this machine. */
export const recordOf = ({ key, job }: KeyedJob, outcome: Outcome): JobRecord => ({
  key,
  job,
  outcome,
  environment,
  finished: new Date().toISOString(),
});
