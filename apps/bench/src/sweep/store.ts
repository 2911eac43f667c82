// Result files: a record a line, only ever added to, so that whatever ends the process costs no result that was there before.
import { mkdir, open, readFile, rename, truncate, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { UsageError } from './faults.ts';
import type { JobRecord } from './record.ts';

export interface Results {
  /** By key, in the order of the file; of several under one key the first. */
  readonly records: ReadonlyMap<string, JobRecord>;
  /** What was wrong with the file, for people. */
  readonly notes: readonly string[];
}

/** Where results are added. */
export interface Store extends Results, AsyncDisposable {
  /** On disk when it returns. A key that is there already is not added again: whether it was new. */
  add(record: JobRecord): Promise<boolean>;
}

/**
 * The records of a file, for reading: a line that is being written right now is left alone.
 *
 * @throws UsageError where the file cannot be read
 */
export async function readRecords(path: string): Promise<readonly JobRecord[]> {
  const { records, notes } = parse(path, await textOf(path));
  for (const note of notes) console.error(`note: ${note}`);
  return [...records.values()];
}

/**
 * Opens a result file, which need not exist, to add to it. What is damaged is repaired: a torn last line is cut off, other lines that
 * are no records stay where they are and count for nothing.
 *
 * @param without records to take out, e.g. those of jobs that are to be tried again
 */
export async function openStore(
  path: string,
  { without = () => false }: { readonly without?: (record: JobRecord) => boolean } = {},
): Promise<Store> {
  await mkdir(dirname(path), { recursive: true });
  const text = await textOf(path, '');
  const { records, notes, whole } = parse(path, text);
  if (whole < text.length) await truncate(path, Buffer.byteLength(text.slice(0, whole)));
  const kept = new Map([...records].filter(([, record]) => !without(record)));
  if (kept.size < records.size) {
    await writeFile(`${path}.new`, [...kept.values()].map(lineOf).join(''));
    await rename(`${path}.new`, path);
  }
  const file = await open(path, 'a');
  if (whole === text.length && text !== '' && !text.endsWith('\n') && kept.size === records.size)
    await file.appendFile('\n');
  return {
    records: kept,
    notes,
    async add(record) {
      if (kept.has(record.key)) return false;
      kept.set(record.key, record);
      await file.appendFile(lineOf(record));
      await file.datasync();
      return true;
    },
    [Symbol.asyncDispose]: () => file.close(),
  };
}

const lineOf = (record: JobRecord): string => `${JSON.stringify(record)}\n`;

async function textOf(path: string, missing?: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && missing !== undefined) return missing;
    throw new UsageError([
      {
        where: path,
        message: code === 'ENOENT' ? 'there is no such file.' : `cannot be read (${message}).`,
        fix: 'Name a result file, as `recall --out` writes it.',
      },
    ]);
  }
}

/** @returns also how far the file is whole: what lies beyond is a line that was cut off */
function parse(path: string, text: string): Results & { readonly whole: number } {
  const records = new Map<string, JobRecord>();
  const notes: string[] = [];
  const lines = text.split('\n');
  let whole = text.length;
  lines.forEach((line, i) => {
    if (line.trim() === '') return;
    const record = recordOf(line);
    if (record) {
      if (!records.has(record.key)) records.set(record.key, record);
    } else if (i === lines.length - 1) {
      whole -= line.length;
      notes.push(`${path}: the last line was cut off; its job counts as not run.`);
    } else {
      notes.push(`${path}: line ${i + 1} is no record; it is passed over.`);
    }
  });
  return { records, notes, whole };
}

function recordOf(line: string): JobRecord | undefined {
  try {
    const value = JSON.parse(line) as Partial<JobRecord> | null;
    const isRecord = typeof value?.key === 'string' && value.job && value.outcome;
    return isRecord ? (value as JobRecord) : undefined;
  } catch {
    return undefined;
  }
}
