// Headless Chromium with WebGPU on SwiftShader: the one from npm, else one that is installed.
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium } from 'playwright-core';
import { unpackChromium } from '../webgpu/chromium.js';

const args = ['--no-sandbox', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];

/** @returns {{ name: string, options: import('playwright-core').LaunchOptions }[]} */
function candidates() {
  const found = [];
  const packaged = unpackChromium();
  if (!('reason' in packaged)) {
    const { browser, folder, version } = packaged;
    // It brings the libraries that a bare system lacks.
    const libraries = [join(folder, 'lib'), folder, process.env.LD_LIBRARY_PATH]
      .filter(Boolean)
      .join(delimiter);
    const env = { .../** @type {Record<string, string>} */ (process.env), LD_LIBRARY_PATH: libraries };
    found.push({ name: `@sparticuz/chromium ${version}`, options: { executablePath: browser, env } });
  }
  for (const executablePath of ['/usr/bin/chromium', '/usr/bin/chromium-browser']) {
    if (existsSync(executablePath)) found.push({ name: executablePath, options: { executablePath } });
  }
  found.push({ name: 'installed Chrome', options: { channel: 'chrome' } });
  return found;
}

/** @returns {Promise<{ browser: import('playwright-core').Browser, name: string } | { reason: string }>} */
export async function launchBrowser() {
  const why = [];
  for (const { name, options } of candidates()) {
    try {
      return { browser: await chromium.launch({ ...options, args, headless: true }), name };
    } catch (error) {
      why.push(`${name}: ${/** @type {Error} */ (error).message.split('\n')[0]}`);
    }
  }
  return { reason: `no browser: ${why.join('; ')}` };
}
