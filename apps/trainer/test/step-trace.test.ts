import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { openBackend } from '@mnemix/tensor';
import { expect, it, vi } from 'vitest';
import { createStepTrace } from '../src/step-trace.ts';
import { temporaryFolder } from './folder.ts';

it('where steps cannot be timed, each runs once, and the reason for having no trace is told', async () => {
  await openBackend('cpu');
  const path = join(temporaryFolder(), 'trace.json');
  const note = vi.fn();
  const trace = createStepTrace(path, note);
  const step = vi.fn(async () => 'done');
  for (let i = 0; i < 4; i++) expect(await trace.run(step)).toBe('done');
  expect(step).toHaveBeenCalledTimes(4);
  expect(note).toHaveBeenCalledExactlyOnceWith(expect.stringContaining('no trace'));
  expect(existsSync(path)).toBe(false);
});

it('a step that fails under the profiler fails', async () => {
  await openBackend('cpu');
  const trace = createStepTrace(join(temporaryFolder(), 'trace.json'), () => {});
  for (let i = 0; i < 2; i++) await trace.run(async () => {});
  await expect(trace.run(() => Promise.reject(new Error('a mistake')))).rejects.toThrow('a mistake');
});
