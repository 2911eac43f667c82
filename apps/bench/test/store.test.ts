import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../trainer/test/folder.ts';
import { jobsOf } from '../src/sweep/expand.ts';
import type { JobRecord } from '../src/sweep/record.ts';
import { openStore, readRecords } from '../src/sweep/store.ts';
import { tinySweep } from './tiny-sweep.ts';

const records = jobsOf({ ...tinySweep, seeds: [1, 2, 3] }).map(({ key, job }): JobRecord => ({
  key,
  job,
  outcome: { status: 'failed', cause: { code: 'test', message: 'Grüße.' }, curve: [], seconds: 1 },
  environment: {},
  finished: '2026-01-01T00:00:00.000Z',
}));
const [first, second, third] = records as [JobRecord, JobRecord, JobRecord];

async function stored(...added: readonly JobRecord[]): Promise<string> {
  const path = join(temporaryFolder(), 'deep', 'results.jsonl');
  await using store = await openStore(path);
  for (const record of added) await store.add(record);
  return path;
}

describe('a result file', () => {
  it('holds each record once, however often it is added', async () => {
    const path = await stored(first, second, first);
    await using store = await openStore(path);
    expect(await store.add(second)).toBe(false);
    expect(await store.add(third)).toBe(true);
    expect(await readRecords(path)).toEqual([first, second, third]);
    expect(readFileSync(path, 'utf8').split('\n')).toHaveLength(4);
  });

  it.each([1, 30, 1000])(
    'is repaired where the last line was cut off %i bytes from its start',
    async (bytes) => {
      const path = await stored(first, second);
      const whole = readFileSync(path);
      const line = Buffer.from(JSON.stringify(third));
      appendFileSync(path, line.subarray(0, Math.min(bytes, line.length - 1)));
      {
        await using store = await openStore(path);
        expect(store.notes).toEqual([expect.stringContaining('the last line was cut off')]);
        expect([...store.records.keys()]).toEqual([first.key, second.key]);
      }
      expect(readFileSync(path)).toEqual(whole);
    },
  );

  it('is not touched by who only reads it', async () => {
    const path = await stored(first);
    appendFileSync(path, '{"key"');
    const torn = readFileSync(path);
    expect(await readRecords(path)).toEqual([first]);
    expect(readFileSync(path)).toEqual(torn);
  });

  it('goes on behind a last line that only lacks its end', async () => {
    const path = await stored(first);
    writeFileSync(path, readFileSync(path, 'utf8').trimEnd());
    {
      await using store = await openStore(path);
      expect(store.notes).toEqual([]);
      await store.add(second);
    }
    expect(await readRecords(path)).toEqual([first, second]);
  });

  it('passes over lines that are no records, and says which', async () => {
    const path = await stored(first);
    appendFileSync(path, `nonsense\n[]\n${JSON.stringify(second)}\n`);
    await using store = await openStore(path);
    expect([...store.records.keys()]).toEqual([first.key, second.key]);
    expect(store.notes).toEqual([
      expect.stringContaining('line 2 is no record'),
      expect.stringContaining('line 3 is no record'),
    ]);
  });

  it('lets go of the records that are to be made anew', async () => {
    const path = await stored(first, second);
    {
      await using store = await openStore(path, { without: ({ key }) => key === first.key });
      expect([...store.records.keys()]).toEqual([second.key]);
      expect(await store.add(first)).toBe(true);
    }
    expect(await readRecords(path)).toEqual([second, first]);
  });

  it('that is not there cannot be read', async () => {
    await expect(readRecords(join(temporaryFolder(), 'none.jsonl'))).rejects.toThrow('there is no such file');
  });
});
