// The report as Markdown, for a README: figures are files beside it.
import type { Block, Section } from './content.ts';

/** @param figures the folder of the SVG files, relative to the Markdown file */
export function reportMarkdown(title: string, sections: readonly Section[], figures: string): string {
  const body = sections.flatMap(({ title: name, blocks }) => [
    `## ${name}`,
    '',
    ...blocks.flatMap((block) => [blockMarkdown(block, figures), '']),
  ]);
  return [`# ${title}`, '', ...body].join('\n');
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

function blockMarkdown(block: Block, figures: string): string {
  if (block.kind === 'text') return block.text;
  if (block.kind === 'figure') return `![${block.caption}](${figures}/${block.name}.svg)`;
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`;
  return [line(block.head), `|${'---|'.repeat(block.head.length)}`, ...block.rows.map(line)].join('\n');
}
