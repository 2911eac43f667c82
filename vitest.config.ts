import { defineConfig } from 'vitest/config';
import shared from './tools/config/vitest.ts';

/** Tests that change what a process has once: its threads, its device, its file system, or modules that they mock. */
const ALONE = [
  '{packages/tensor,apps/trainer}/test/**/*.test.ts',
  'packages/lm/test/save.test.ts',
  '**/*.{webgpu,redis}.test.ts',
];

/**
 * All packages at once, so that what many of them import is transformed once. Loading it anew for every file took half as long as the
 * tests: files share their processes where they can. In the folder of a package each has its own.
 */
const tests = (name: string, options: object) => ({
  ...shared,
  test: { ...shared.test, name, ...options },
});

export default defineConfig({
  test: {
    maxWorkers: '100%',
    projects: [
      tests('alone', { include: ALONE }),
      tests('together', {
        include: ['{packages/*,apps/*,tools/testkit}/test/**/*.test.ts'],
        exclude: ALONE,
        isolate: false,
      }),
    ],
  },
});
