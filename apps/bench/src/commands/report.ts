import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Command } from 'commander';
import { reportContent, type Section } from '../report/content.ts';
import { reportHtml } from '../report/html.ts';
import { reportMarkdown } from '../report/markdown.ts';
import type { SpeedResult } from '../speed.ts';
import { UsageError } from '../sweep/faults.ts';
import { readRecords } from '../sweep/store.ts';
import { reportingFaults } from './usage.ts';

interface Flags {
  readonly title: string;
  readonly speed?: string;
  readonly out: string;
}

/** `bench report`. */
export function addReport(program: Command): void {
  program
    .command('report <results...>')
    .description(
      'one self-contained HTML page, and Markdown with its figures, from result files of `recall` and `mad`',
    )
    .option('--title <text>', 'heading of the report', 'Recall against memory')
    .option('--speed <file>', 'the JSON of `speed --out`, for decode latency')
    .option('--out <path>', 'write <path>.html, <path>.md and the figures in <path>/', 'report')
    .action(reportingFaults(report));
}

async function report(results: readonly string[], { title, speed, out }: Flags): Promise<void> {
  const records = (await Promise.all(results.map(readRecords))).flat();
  if (records.length === 0) {
    throw new UsageError([
      {
        where: results.join(', '),
        message: 'there are no results.',
        fix: 'Run `mnemix-bench recall --out <file>` first.',
      },
    ]);
  }
  const sections = reportContent({
    records,
    speed: speed === undefined ? undefined : await readSpeed(speed),
  });
  await writeReport(sections, title, out);
  console.log(`${out}.html, ${out}.md`);
}

async function readSpeed(file: string): Promise<SpeedResult> {
  const fix = 'Name the JSON that `mnemix-bench speed --out <path>` writes.';
  try {
    const result = JSON.parse(await readFile(file, 'utf8')) as Partial<SpeedResult>;
    if (Array.isArray(result.rows)) return result as SpeedResult;
  } catch (error) {
    throw new UsageError([{ where: file, message: `cannot be read (${(error as Error).message}).`, fix }]);
  }
  throw new UsageError([{ where: file, message: 'is no result of `speed`.', fix }]);
}

/** Writes `<out>.html`, `<out>.md`, and the figures in `<out>/`. */
export async function writeReport(sections: readonly Section[], title: string, out: string): Promise<void> {
  await mkdir(out, { recursive: true });

  for (const block of sections.flatMap(({ blocks }) => blocks)) {
    if (block.kind === 'figure') await writeFile(join(out, `${block.name}.svg`), block.svg);
  }
  await writeFile(`${out}.html`, reportHtml(title, sections));
  await writeFile(`${out}.md`, reportMarkdown(title, sections, basename(out)));
}
