// The README of the cells is what the catalogue says.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { catalogueTable, withTable } from '../src/catalogue.ts';

const readme = readFileSync(join(import.meta.dirname, '../../../packages/cells/README.md'), 'utf8');

/** Cells of a table, whatever the formatter does with the space between them. */
const entriesOf = (markdown: string): string[][] =>
  markdown
    .split('\n')
    .filter((line) => line.startsWith('|') && !/^\|[\s|:-]+$/.test(line))
    .map((line) => line.split('|').map((entry) => entry.trim()));

describe('the table of cells', () => {
  it('stands in the README as the catalogue writes it (pnpm docs:cells)', () => {
    const written = withTable(readme, catalogueTable());
    expect(entriesOf(readme)).toEqual(entriesOf(written));
  });

  it('is refused a text that has no place for it', () => {
    expect(() => withTable('nothing', catalogueTable())).toThrow(/Put the lines/);
  });
});
