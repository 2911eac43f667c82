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

/**
 * @param {string} driver
 * @param {string} [libraries] folder of the Vulkan loader, where the system need not have one
 */
function softwareEnvironment(driver, libraries) {
  /** @type {Record<string, string>} */
  const env = { VK_DRIVER_FILES: driver, VK_ICD_FILENAMES: driver };
  env.XDG_RUNTIME_DIR = process.env.XDG_RUNTIME_DIR ?? '/tmp';
  if (libraries)
    env.LD_LIBRARY_PATH = [libraries, process.env.LD_LIBRARY_PATH].filter(Boolean).join(delimiter);
  return env;
}

/** @returns {Found} */
export function findSoftwareAdapter() {
  /** @type {{ origin: string, env: Record<string, string> }[]} */
  const places = [];
  const why = [];
  if (existsSync(debianDriver)) places.push({ origin: debianDriver, env: softwareEnvironment(debianDriver) });
  const packaged = unpackChromium();
  if ('reason' in packaged) {
    why.push(packaged.reason);
  } else {
    const env = softwareEnvironment(packaged.driver, packaged.folder);
    places.push({ origin: `@sparticuz/chromium ${packaged.version}`, env });
  }
  for (const { origin, env } of places) {
    const { adapter, reason } = probe(env);
    if (adapter) return { kind: 'software', reason: `${adapter.description}, ${origin}`, env };
    why.push(`${origin}: ${reason}`);
  }
  return { kind: 'none', reason: why.join('; '), env: {} };
}

/** @returns {Found} */
function findAdapter() {
  const { adapter, reason } = probe({});
  if (adapter && !adapter.software) {
    return { kind: 'real', reason: `${adapter.vendor} ${adapter.description}`, env: {} };
  }
  const software = findSoftwareAdapter();
  if (software.kind !== 'none') return software;
  return { ...software, reason: `system: ${reason ?? 'a software adapter only'}; ${software.reason}` };
}

/** Puts the adapter into this process's environment, from where child processes inherit it. Does nothing twice. */
export function provideAdapter() {
  if (process.env.MNEMIX_WEBGPU) return;
  const { kind, reason, env } = findAdapter();
  Object.assign(process.env, env, { MNEMIX_WEBGPU: kind, MNEMIX_WEBGPU_REASON: reason });
}
