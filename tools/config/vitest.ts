import { fileURLToPath } from 'node:url';
import { defaultClientConditions, defaultServerConditions } from 'vite';
import { defineConfig } from 'vitest/config';
import { wgsl } from './wgsl.js';

const source = '@mnemix/source';

/** The tests of one package. The other packages are taken from their sources, so no build is needed first. */
export default defineConfig({
  plugins: [wgsl()],
  resolve: { conditions: [source, ...defaultClientConditions] },
  ssr: { resolve: { conditions: [source, ...defaultServerConditions] } },
  test: {
    include: ['test/**/*.test.ts'],
    environment: 'node',
    // Dawn and tfjs's threads want a process of their own for each test file.
    pool: 'forks',
    // A file keeps one core busy, SwiftShader's compiler included. Vitest would leave a core to itself: half of two.
    maxWorkers: '100%',
    globalSetup: fileURLToPath(new URL('./vitest-setup.js', import.meta.url)),
    // The plain CPU backend on a busy machine takes its time.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    passWithNoTests: true,
  },
});
