// The catalogue of cells as a Markdown table, for the README of its package.
import { cells, cellEntry, cellStateBytes, type CellName } from '@mnemix/cells';

const HEAD = 64;
const sizes = { width: HEAD, heads: 1, keyWidth: HEAD, valueWidth: HEAD };

/** Where a README keeps the table. */
const MARKS = ['<!-- cells: written by pnpm docs:cells -->', '<!-- /cells -->'] as const;

/** One row a cell: what its memory does, what it holds and costs in a head of 64 × 64. */
export function catalogueTable(): string {
  const rows = (Object.keys(cells) as CellName[]).map((name) => {
    const { create, update, source, cost } = cellEntry('bench', name);
    const flops = cost({ dk: HEAD, dv: HEAD }).decode / HEAD ** 2;
    const kibibytes = cellStateBytes(name, sizes) / 1024;
    return `| \`${name}\` | \`${create.name}\` | ${update} | ${kibibytes.toFixed(1)} | ${flops.toFixed(1)} | ${source} |`;
  });
  return [
    '| name | export | update | state, KiB | decode | source |',
    '|---|---|---|---|---|---|',
    ...rows,
  ].join('\n');
}

/** The text with the table in its place. */
export function withTable(text: string, table: string): string {
  const [begin, end] = MARKS.map((mark) => text.indexOf(mark)) as [number, number];
  if (begin < 0 || end < begin)
    throw new Error(`Put the lines "${MARKS.join('" and "')}" where the table belongs.`);
  return `${text.slice(0, begin + MARKS[0].length)}\n\n${table}\n\n${text.slice(end)}`;
}
