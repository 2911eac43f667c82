// A page built with Vite from the packed packages trains ten steps on WASM and on WebGPU in headless Chromium; its
// losses must be those of Node on the same backend.
import { execFileSync } from 'node:child_process';
import { cpSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { build, preview } from 'vite';
import { compile, inConsumerProject } from '../checks/consumer.js';
import { note, SKIPPED } from '../checks/note.js';
import { provideAdapter } from '../webgpu/adapter.js';
import { launchBrowser } from './launch.js';

/** Relative; both run the same float32 arithmetic, in another order of summation at most. */
const TOLERANCE = 1e-4;

const SECONDS = 120;

/** WASM threads need a page that is isolated from other origins. */
const headers = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

/** @typedef {'wasm' | 'webgpu-software'} Backend */

/** @param {string} project @param {Backend} backend @returns {number[]} */
function trainInNode(project, backend) {
  const output = execFileSync(process.execPath, ['out/node.js', backend], { cwd: project, encoding: 'utf8' });
  return JSON.parse(output.trim().split('\n').at(-1) ?? '');
}

/** @param {string} project */
async function buildPage(project) {
  await build({
    root: project,
    configFile: false,
    logLevel: 'warn',
    build: { outDir: 'site', target: 'es2022' },
  });
  const wasm = join(project, 'node_modules/@tensorflow/tfjs-backend-wasm/dist');
  for (const file of readdirSync(wasm).filter((name) => name.endsWith('.wasm'))) {
    cpSync(join(wasm, file), join(project, 'site/wasm', file));
  }
}

/**
 * What happens in a page has no limit of its own: a worker that dies leaves it waiting for ever.
 *
 * @param {number} seconds
 * @param {Promise<unknown>} work
 * @returns {Promise<number[]>} nothing where the page fails or takes too long
 */
async function within(seconds, work) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`the page did not answer within ${seconds} s`)),
      seconds * 1000,
    );
  });
  try {
    return /** @type {number[]} */ (await Promise.race([work, late]));
  } catch (error) {
    console.log(/** @type {Error} */ (error).message);
    return [];
  } finally {
    clearTimeout(timer);
  }
}

/** @param {number[]} actual @param {number[]} expected */
function difference(actual, expected) {
  if (actual.length !== 10 || expected.length !== 10) return Number.NaN;
  return Math.max(
    ...expected.map((value, i) => Math.abs((actual[i] ?? Number.NaN) - value) / Math.abs(value)),
  );
}

/** @param {import('playwright-core').Browser} browser @param {string} project @param {Backend[]} backends */
async function compare(browser, project, backends) {
  const server = await preview({
    root: project,
    configFile: false,
    logLevel: 'warn',
    build: { outDir: 'site' },
    preview: { port: 0, host: '127.0.0.1', headers },
  });
  try {
    for (const backend of backends) {
      const page = await browser.newPage();
      page.on('console', (message) => console.log(`[page] ${message.text()}`));
      page.on('pageerror', (error) => console.log(`[page] ${error.message}`));
      await page.goto(server.resolvedUrls?.local[0] ?? '');
      await page.waitForFunction('typeof train === "function"');
      const inPage = await within(SECONDS, page.evaluate(`train('${backend}')`));
      await page.close();
      const worst = difference(inPage, trainInNode(project, backend));
      const same = worst <= TOLERANCE;
      console.log(
        `${same ? '✓' : '✗'} ${backend}: losses ${inPage.map((loss) => loss.toFixed(4)).join(' ')}`,
      );
      console.log(`  largest relative difference from Node: ${worst.toExponential(1)}`);
      if (!same) process.exitCode = 1;
    }
  } finally {
    await server.close();
  }
}

provideAdapter();
const launched = await launchBrowser();
if ('reason' in launched) {
  console.error(launched.reason);
  note(launched.reason);
  process.exit(process.env.CI ? 1 : SKIPPED);
}
/** @type {Backend[]} */
const backends = process.env.MNEMIX_WEBGPU === 'software' ? ['wasm', 'webgpu-software'] : ['wasm'];
try {
  await inConsumerProject(
    async (project) => {
      for (const file of ['index.html', 'page.ts', 'node.ts', 'ten-steps.ts']) {
        cpSync(join(import.meta.dirname, file), join(project, file));
      }
      compile(project, ['node.ts', 'page.ts']);
      await buildPage(project);
      await compare(launched.browser, project, backends);
    },
    ['webgpu'],
  );
  note(`${backends.join(' and ')} in ${launched.name}`);
} finally {
  await launched.browser.close();
}
