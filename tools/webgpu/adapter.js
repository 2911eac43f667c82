// Finds the WebGPU adapter that tests in Node use: a real one, else SwiftShader from Debian's chromium package, else
// SwiftShader from npm. Tests learn the result from MNEMIX_WEBGPU (real | software | none) and MNEMIX_WEBGPU_REASON.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { unpackChromium } from './chromium.js';

const debianDriver = '/usr/lib/chromium/vk_swiftshader_icd.json';

/**
 * @typedef {object} Found
 * @property {'real' | 'software' | 'none'} kind
 * @property {string} reason what the adapter is and where it came from, or why there is none
 * @property {Record<string, string>} env what a process must have in its environment to get this adapter
 */

/** @param {Record<string, string>} env */
function probe(env) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, 'probe.js')], {
    env: { ...process.env, ...env },
    encoding: 'utf8',
    timeout: 60_000,
  });
  return status === 0
    ? { adapter: JSON.parse(stdout) }
    : { reason: stderr.trim().split('\n')[0] || 'Dawn found no adapter' };
}

/** @param {string} driver @param {string} [libraries] */
function softwareEnvironment(driver, libraries) {
  /** @type {Record<string, string>} */
  const env = { VK_DRIVER_FILES: driver, VK_ICD_FILENAMES: driver };
  env.XDG_RUNTIME_DIR = process.env.XDG_RUNTIME_DIR ?? '/tmp';
  if (libraries)
    env.LD_LIBRARY_PATH = [libraries, process.env.LD_LIBRARY_PATH].filter(Boolean).join(delimiter);
  return env;
}

/** @returns {Found} */
export function findAdapter() {
  const own = probe({});
  if (own.adapter && !own.adapter.software) {
    return { kind: 'real', reason: `${own.adapter.vendor} ${own.adapter.description}`, env: {} };
  }
  const why = [own.adapter ? 'the system offers a software adapter only' : `system: ${own.reason}`];

  if (existsSync(debianDriver)) {
    const env = softwareEnvironment(debianDriver);
    const debian = probe(env);
    if (debian.adapter)
      return { kind: 'software', reason: `${debian.adapter.description}, ${debianDriver}`, env };
    why.push(`${debianDriver}: ${debian.reason}`);
  }

  const packaged = unpackChromium();
  if ('reason' in packaged) {
    why.push(packaged.reason);
  } else {
    const env = softwareEnvironment(packaged.driver, packaged.folder);
    const npm = probe(env);
    const origin = `@sparticuz/chromium ${packaged.version}`;
    if (npm.adapter) return { kind: 'software', reason: `${npm.adapter.description}, ${origin}`, env };
    why.push(`${origin}: ${npm.reason}`);
  }
  return { kind: 'none', reason: why.join('; '), env: {} };
}

/** Puts the adapter into this process's environment, from where child processes inherit it. Does nothing twice. */
export function provideAdapter() {
  if (process.env.MNEMIX_WEBGPU) return;
  const { kind, reason, env } = findAdapter();
  Object.assign(process.env, env, { MNEMIX_WEBGPU: kind, MNEMIX_WEBGPU_REASON: reason });
}
