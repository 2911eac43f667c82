// Type-checks every package (through turbo, which remembers what has not changed) and the repository's own scripts.
import { spawnSync } from 'node:child_process';

const commands = ['turbo run typecheck --continue=always --output-logs=errors-only', 'tsc'];
const failed = commands.filter(
  (command) => spawnSync(command, { stdio: 'inherit', shell: true }).status !== 0,
);
process.exitCode = failed.length > 0 ? 1 : 0;
