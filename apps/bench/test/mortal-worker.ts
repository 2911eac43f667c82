// A worker process that dies of some jobs: by their seeds.
import { serveJobs, type Assignment } from '../src/sweep/worker-process.ts';
import { deadly } from './tiny-sweep.ts';

process.on('message', ({ job: { seed } }: Assignment) => {
  if (seed === deadly.killed) process.kill(process.pid, 'SIGKILL');
  if (seed === deadly.aborted) process.abort();
  if (seed === deadly.exited) {
    console.error('no more of this');
    process.exit(7);
  }
});
serveJobs();
