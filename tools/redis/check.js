// Runs the tests that need a Redis or Valkey server. Without one they fail under CI and are skipped elsewhere.
import { spawnSync } from 'node:child_process';
import { cannotRun, note } from '../checks/note.js';
import { findRedis } from './server.js';

const found = findRedis();
if ('reason' in found) cannotRun(`no Redis server: ${found.reason}`);

console.log(found.version);
note(found.version);
const { status } = spawnSync('vitest run .redis.test.ts', {
  env: { ...process.env, ...found.env },
  stdio: 'inherit',
  shell: true,
});
process.exit(status ?? 1);
