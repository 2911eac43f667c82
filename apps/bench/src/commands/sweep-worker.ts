// `bench sweep-worker`: the worker process of the commands that run jobs.
import type { Command } from 'commander';
import { serveJobs } from '../sweep/worker-process.ts';

export function addSweepWorker(program: Command): void {
  program.command('sweep-worker', { hidden: true }).action(serveJobs);
}
