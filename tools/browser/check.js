// A page built with Vite from the packed packages trains ten steps on WASM and on WebGPU in headless Chromium; its
// losses must be those of Node on the same backend. And fused ops must give with their WebGPU kernels what they give without.
import { execFile } from 'node:child_process';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build, preview } from 'vite';
import { compile, inConsumerProject } from '../checks/consumer.js';
import { cannotRun, note } from '../checks/note.js';
import { findSoftwareAdapter } from '../webgpu/adapter.js';
import { launchBrowser } from './launch.js';

/** Relative; both run the same float32 arithmetic, in another order of summation at most. */
const TOLERANCE = 1e-4;

/** A software adapter compiles its shaders for a minute or more; this only ends what hangs. */
const SECONDS = 900;

/** WASM threads need a page that is isolated from other origins. */
const headers = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

/** Of fused ops from their portable form, relative RMS: results, gradients. */
const OP_TOLERANCES = { result: 1e-5, gradients: 1e-4 };

/** @typedef {import('./ten-steps.ts').Run} Run */
/** @typedef {import('./fused-ops.ts').Compared} Compared */

/** @type {Run} */
const failed = { threads: 0, losses: [] };

/** Names of `openBackend`. */
const BACKENDS = ['wasm', 'webgpu-software'];

/**
 * @param {string} project
 * @param {string} backend
 * @param {Record<string, string>} env with which Dawn finds its adapter
 * @returns {Promise<Run>} without losses where it fails
 */
async function trainInNode(project, backend, env) {
  try {
    const { stdout } = await promisify(execFile)(process.execPath, ['out/node.js', backend], {
      cwd: project,
      env: { ...process.env, ...env },
      timeout: SECONDS * 1000,
    });
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
  } catch (error) {
    const {
      message,
      stderr = message,
      signal,
      code,
    } = /** @type {import('node:child_process').ExecFileException} */ (error);
    // SIGTERM: no answer in time.
    console.log(`[node] ${stderr.trim()} (ended with ${signal ?? code})`);
    return failed;
  }
}

/** @param {string} project */
async function buildPage(project) {
  await build({
    root: project,
    configFile: false,
    logLevel: 'warn',
    build: { outDir: 'site', target: 'es2022' },
  });
  const wasm = join(project, 'node_modules/@tensorflow/tfjs-backend-wasm/wasm-out');
  cpSync(wasm, join(project, 'site/wasm'), { recursive: true });
}

/**
 * What happens in a page has no limit of its own: a worker that dies leaves it waiting for ever.
 *
 * @template T
 * @param {number} seconds
 * @param {Promise<unknown>} work
 * @param {T} otherwise the result where the page fails or takes too long
 * @returns {Promise<T>}
 */
async function within(seconds, work, otherwise) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`the page did not answer within ${seconds} s`)),
      seconds * 1000,
    );
  });
  try {
    return /** @type {T} */ (await Promise.race([work, late]));
  } catch (error) {
    console.log(`[page] ${/** @type {Error} */ (error).message}`);
    return otherwise;
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

/**
 * A page that says on the terminal what it says in its console, once each: a worker that fails says so many times.
 *
 * @param {import('playwright-core').Browser} browser
 * @param {string} url
 */
async function openPage(browser, url) {
  const page = await browser.newPage();
  const said = new Set();
  const say = (/** @type {string} */ text) => {
    if (!said.has(text)) console.log(`[page] ${text}`);
    said.add(text);
  };
  page.on('console', (message) => say(message.text()));
  page.on('pageerror', (error) => say(error.message));
  await page.goto(url);
  await page.waitForFunction('typeof train === "function"');
  return page;
}

/**
 * @param {import('playwright-core').Browser} browser
 * @param {string} url
 * @param {string} project
 * @param {Record<string, string>} env
 */
async function compareTraining(browser, url, project, env) {
  for (const backend of BACKENDS) {
    const page = await openPage(browser, url);
    // Side by side: each compiles its kernels on one core.
    const [inPage, inNode] = await Promise.all([
      within(SECONDS, page.evaluate(`train('${backend}')`), failed),
      trainInNode(project, backend, env),
    ]);
    await page.close();
    const worst = difference(inPage.losses, inNode.losses);
    // A page that is isolated and has every file gets threads where Node does; the two may count cores differently.
    const [pageThreaded, nodeThreaded] = [inPage, inNode].map(({ threads }) => threads > 1);
    const same = worst <= TOLERANCE && pageThreaded === nodeThreaded;
    console.log(`${same ? '✓' : '✗'} ${backend}: largest relative difference ${worst.toExponential(1)}`);
    for (const [where, { losses, threads }] of Object.entries({ page: inPage, node: inNode })) {
      console.log(`  ${where}, ${threads} threads  ${losses.map((loss) => loss.toFixed(5)).join(' ')}`);
    }
    if (!same) process.exitCode = 1;
  }
}

/**
 * @param {import('playwright-core').Browser} browser
 * @param {string} url
 */
async function compareOps(browser, url) {
  const page = await openPage(browser, url);
  const compared = await within(SECONDS, page.evaluate('compareOps()'), /** @type {Compared[]} */ ([]));
  await page.close();
  if (compared.length === 0) process.exitCode = 1;
  for (const { op, result, gradients } of compared) {
    const same = result <= OP_TOLERANCES.result && gradients <= OP_TOLERANCES.gradients;
    console.log(
      `${same ? '✓' : '✗'} ${op}: result ${result.toExponential(1)}, gradients ${gradients.toExponential(1)}`,
    );
    if (!same) process.exitCode = 1;
  }
}

/**
 * @param {import('playwright-core').Browser} browser
 * @param {string} project
 * @param {Record<string, string>} env
 */
async function compare(browser, project, env) {
  const server = await preview({
    root: project,
    configFile: false,
    logLevel: 'warn',
    build: { outDir: 'site' },
    preview: { port: 0, host: '127.0.0.1', headers },
  });
  const url = server.resolvedUrls?.local[0] ?? '';
  try {
    await compareOps(browser, url);
    await compareTraining(browser, url, project, env);
  } finally {
    await server.close();
  }
}

const launched = await launchBrowser();
if ('reason' in launched) cannotRun(launched.reason);
const software = findSoftwareAdapter();
if (software.kind === 'none') {
  cannotRun(`Node has no software WebGPU adapter to compare with: ${software.reason}`);
}

try {
  await inConsumerProject(
    async (project) => {
      for (const file of ['index.html', 'page.ts', 'node.ts', 'ten-steps.ts', 'fused-ops.ts']) {
        cpSync(join(import.meta.dirname, file), join(project, file));
      }
      compile(project, ['node.ts', 'page.ts']);
      await buildPage(project);
      await compare(launched.browser, project, software.env);
    },
    ['webgpu'],
  );
  note(`${BACKENDS.join(', ')} in ${launched.name}`);
} finally {
  await launched.browser.close();
}
