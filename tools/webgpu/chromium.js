// The npm package @sparticuz/chromium carries a headless Chromium with SwiftShader, a Vulkan driver that computes on
// the CPU, and a Vulkan loader. Unpacked once into .cache/, it gives both the browser and Dawn in Node an adapter.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';

const cache = join(import.meta.dirname, '../../.cache');

/** Where the package's files are, or why they cannot be used here. */
function locate() {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return {
      reason: `the packaged Chromium runs on Linux x64 only, not on ${process.platform} ${process.arch}`,
    };
  }
  const require = createRequire(import.meta.url);
  const home = dirname(dirname(dirname(require.resolve('@sparticuz/chromium'))));
  const { version } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8'));
  return { bin: join(home, 'bin'), version };
}

/**
 * Unpacks Chromium and SwiftShader, once per version.
 *
 * @returns {{ folder: string, browser: string, driver: string, version: string } | { reason: string }}
 *   `browser` is the executable, `driver` the manifest for VK_DRIVER_FILES, `folder` holds libvulkan.so.1
 */
export function unpackChromium() {
  const source = locate();
  if (source.reason !== undefined) return { reason: source.reason };
  const folder = join(cache, `chromium-${source.version}`);
  if (!existsSync(folder)) {
    mkdirSync(cache, { recursive: true });
    // Written elsewhere and renamed, so that an interrupted or concurrent run never leaves half a folder in place.
    const draft = mkdtempSync(join(cache, 'chromium-draft-'));
    const unpack = (/** @type {string} */ name) => brotliDecompressSync(readFileSync(join(source.bin, name)));
    for (const archive of ['swiftshader.tar.br', 'al2023.tar.br']) {
      execFileSync('tar', ['-xf', '-', '--no-same-owner', '-C', draft], { input: unpack(archive) });
    }
    writeFileSync(join(draft, 'chromium'), unpack('chromium.br'));
    chmodSync(join(draft, 'chromium'), 0o755);
    try {
      renameSync(draft, folder);
    } catch (error) {
      rmSync(draft, { recursive: true, force: true });
      if (!existsSync(folder)) throw error;
    }
  }
  return {
    folder,
    browser: join(folder, 'chromium'),
    driver: join(folder, 'vk_swiftshader_icd.json'),
    version: source.version,
  };
}
