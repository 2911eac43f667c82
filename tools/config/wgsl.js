import { readFile } from 'node:fs/promises';

/**
 * Makes `import text from './forward.wgsl'` give the file's text, in builds (Rolldown) and in tests (Vite) alike.
 * @returns {import('rolldown').Plugin & import('vite').Plugin}
 */
export function wgsl() {
  return {
    name: 'wgsl-text',
    enforce: 'pre',
    /** @param {string} id */
    async load(id) {
      if (!id.endsWith('.wgsl')) return null;
      const text = await readFile(id, 'utf8');
      return { code: `export default ${JSON.stringify(text)};`, moduleType: 'js' };
    },
  };
}
