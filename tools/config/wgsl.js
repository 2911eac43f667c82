import { readFile } from 'node:fs/promises';

/** @param {string} text of WGSL, which has no strings that could look like comments */
const withoutComments = (text) =>
  text.replace(/\/\/.*|\/\*[^]*?\*\//g, (comment) => comment.replace(/.+/g, ''));

/**
 * Makes `import text from './forward.wgsl'` give the file's text, in builds (Rolldown) and in tests (Vite) alike. Comments are left
 * out, which are a third of what users would download, and lines kept, so that a compiler's messages are of the file's own lines.
 * @returns {import('rolldown').Plugin & import('vite').Plugin}
 */
export function wgsl() {
  return {
    name: 'wgsl-text',
    enforce: 'pre',
    /** @param {string} id */
    async load(id) {
      if (!id.endsWith('.wgsl')) return null;
      const text = withoutComments(await readFile(id, 'utf8'));
      return { code: `export default ${JSON.stringify(text)};`, moduleType: 'js' };
    },
  };
}
