// What a fresh clone needs, with nothing but Node and npm: the pinned pnpm, the dependencies, the build.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export const root = join(import.meta.dirname, '../..');
const windows = process.platform === 'win32';

/** Ends the command; the message has been printed or follows. */
class SetupError extends Error {}

/**
 * Runs a program to its end.
 *
 * @param {string} program
 * @param {string[]} options
 * @param {{ what: string, quiet?: boolean }} how `quiet` shows the output only when the program fails
 */
function run(program, options, { what, quiet = false }) {
  const { status, stdout, stderr, error } = spawnSync(program, options, {
    cwd: root,
    stdio: quiet ? ['ignore', 'pipe', 'pipe'] : 'inherit',
    encoding: 'utf8',
    shell: windows,
  });
  if (status === 0) return;
  throw new SetupError(
    `${what} failed.\n${[error?.message, stdout, stderr].filter(Boolean).join('\n')}`.trim(),
  );
}

/** npm's own program: known exactly when npm started us, otherwise the one on the path. */
function npm() {
  const started = process.env.npm_execpath ?? '';
  return started.endsWith('npm-cli.js') ? [process.execPath, started] : ['npm'];
}

/** Puts the pnpm that package.json pins into .cache/, and first on the path of everything started from here. */
function providePnpm() {
  const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const cache = join(root, '.cache');
  const home = join(cache, packageManager.replace('@', '-'));
  if (!existsSync(home)) {
    console.log(`Fetching ${packageManager} …`);
    mkdirSync(cache, { recursive: true });
    // Renamed when complete, so that an interrupted download is not taken for a finished one.
    const draft = mkdtempSync(join(cache, 'pnpm-draft-'));
    const [program = 'npm', ...first] = npm();
    const quietly = ['--no-save', '--no-audit', '--no-fund', '--loglevel=error'];
    run(program, [...first, 'install', '--prefix', draft, ...quietly, packageManager], {
      what: `npm install ${packageManager}`,
      quiet: true,
    });
    try {
      renameSync(draft, home);
    } catch (error) {
      rmSync(draft, { recursive: true, force: true });
      if (!existsSync(home)) throw error;
    }
  }
  process.env.PATH = [join(home, 'node_modules/.bin'), process.env.PATH].join(delimiter);
  process.env.TURBO_TELEMETRY_DISABLED = '1';
}

function installDependencies() {
  const fresh = !existsSync(join(root, 'node_modules'));
  if (fresh) console.log('Installing dependencies …');
  run('pnpm', ['install', '--frozen-lockfile', '--prod=false'], { what: 'pnpm install', quiet: true });
}

/** Builds every package; what has not changed comes from turbo's cache. */
export function build() {
  const log = ['--output-logs=errors-only', '--log-order=grouped'];
  run('pnpm', ['exec', 'turbo', 'run', 'build', ...log], { what: 'The build', quiet: true });
}

/** Prepares the repository, or ends the process with the reason. */
export function prepare({ needsBuild = true } = {}) {
  try {
    providePnpm();
    installDependencies();
    if (needsBuild) build();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(error.message);
    process.exit(1);
  }
}
