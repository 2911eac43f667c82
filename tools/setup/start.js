// `npm start`: sets everything up and trains: the default job, or the preset or file named after `--`. Flags there go to the trainer.
import './node-version.js';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { prepare, root } from './prepare.js';

prepare();
const trainer = join(root, 'apps/trainer/dist/cli.js');
const job = spawn(process.execPath, [trainer, 'train', ...process.argv.slice(2)], {
  stdio: 'inherit',
});

// A terminal sends Ctrl-C to the trainer too: wait here until it has saved and left.
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) {
  process.on(signal, () => {
    if (signal === 'SIGTERM') job.kill(signal);
  });
}
job.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));
