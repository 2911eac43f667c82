/**
 * Every check of the repository, in the order in which `npm test` runs them: the quick ones first. Neighbours that need one core
 * run side by side. `npm test -- <name> …` runs some of them alone.
 *
 * @type {Record<string, { about: string, command: string, needsBuild?: boolean, needsOneCore?: boolean }>}
 */
export const checks = {
  format: { about: 'formatting (fix: pnpm format)', command: 'oxfmt --check' },
  lint: { about: 'lint and import boundaries', command: 'oxlint --deny-warnings' },
  types: { about: 'strict TypeScript', command: 'node tools/checks/types.js' },
  unused: { about: 'unused files, exports and dependencies', command: 'knip' },
  unit: {
    about: 'tests on CPU and WASM',
    command: 'vitest run --exclude "**/*.webgpu.test.ts" --exclude "**/*.redis.test.ts"',
  },
  webgpu: { about: 'tests on WebGPU', command: 'node tools/webgpu/check.js' },
  redis: { about: 'sweeps through a real queue', command: 'node tools/redis/check.js', needsOneCore: true },
  publint: {
    about: 'package manifests',
    command: 'node tools/checks/publint.js',
    needsBuild: true,
    needsOneCore: true,
  },
  attw: {
    about: 'published types',
    command: 'node tools/checks/attw.js',
    needsBuild: true,
    needsOneCore: true,
  },
  size: { about: 'size budgets', command: 'node tools/checks/size.js', needsBuild: true, needsOneCore: true },
  examples: {
    about: 'README examples, from the packed packages',
    command: 'node tools/checks/examples.js',
    needsBuild: true,
    needsOneCore: true,
  },
  browser: {
    about: 'training in a browser, from the packed packages',
    command: 'node tools/browser/check.js',
    needsBuild: true,
  },
};
