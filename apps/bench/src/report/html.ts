// The report as one HTML file: no scripts, no other files, figures inline.
import type { Block, Section } from './content.ts';

const STYLE = `
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 980px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2.5rem; border-bottom: 1px solid #ddd; padding-bottom: .2rem }
table { border-collapse: collapse; font-size: 13px; display: block; overflow-x: auto; margin: 1rem 0 }
th, td { padding: .2rem .6rem; text-align: right; border-bottom: 1px solid #eee; font-variant-numeric: tabular-nums }
th:first-child, td:first-child { text-align: left } th { position: sticky; top: 0; background: #fff }
figure { margin: 1rem 0 } figcaption { font-size: 13px; color: #555 } figure svg { max-width: 100%; height: auto }
nav ul { columns: 2; font-size: 13px }`;

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const escape = (text: string): string => text.replace(/[&<>"]/g, (char) => escapes[char] as string);

export function reportHtml(title: string, sections: readonly Section[]): string {
  const contents = sections.map(({ title: name }, i) => `<li><a href="#s${i}">${escape(name)}</a></li>`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title>
<style>${STYLE}
</style>
</head>
<body>
<h1>${escape(title)}</h1>
<nav><ul>${contents.join('')}</ul></nav>
${sections.map((section, i) => sectionHtml(section, i)).join('\n')}
</body>
</html>
`;
}

const sectionHtml = ({ title, blocks }: Section, i: number): string =>
  `<section id="s${i}"><h2>${escape(title)}</h2>\n${blocks.map(blockHtml).join('\n')}\n</section>`;

function blockHtml(block: Block): string {
  if (block.kind === 'text') return `<p>${escape(block.text)}</p>`;
  if (block.kind === 'figure') {
    return `<figure>${block.svg}<figcaption>${escape(block.caption)}</figcaption></figure>`;
  }
  const row = (cells: readonly string[], tag: 'td' | 'th'): string =>
    `<tr>${cells.map((cell) => `<${tag}>${escape(cell)}</${tag}>`).join('')}</tr>`;
  return `<table><thead>${row(block.head, 'th')}</thead><tbody>${block.rows.map((cells) => row(cells, 'td')).join('')}</tbody></table>`;
}
