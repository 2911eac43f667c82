// What a store on disk owes beyond the contract: it can be reopened, it says why it cannot be opened, and what was stored survives a
// process that is killed and a disk that is full.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openLevelStore } from '../src/level-store.ts';

const require = createRequire(import.meta.url);
let root: string;
let program: string;
let location: string;
let stores = 0;

/** level-program.ts as a program that plain Node runs; `level` stays where it is installed. */
async function bundleProgram(): Promise<string> {
  const level = pathToFileURL(require.resolve('level')).href;
  const bundled = await rolldown({
    input: fileURLToPath(new URL('level-program.ts', import.meta.url)),
    platform: 'node',
    // Of the tensor package it needs the errors alone.
    resolve: {
      alias: { '@mnemix/tensor': fileURLToPath(new URL('../../tensor/src/errors.ts', import.meta.url)) },
    },
    plugins: [{ name: 'level', resolveId: (id) => (id === 'level' ? { id: level, external: true } : null) }],
  });
  const { output } = await bundled.write({ dir: root, format: 'es', entryFileNames: '[name].mjs' });
  await bundled.close();
  return join(root, output[0].fileName);
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'mnemix-'));
  program = await bundleProgram();
});
afterAll(() => rm(root, { recursive: true }));
beforeEach(() => {
  location = join(root, `store-${stores++}`);
});

describe('openLevelStore', () => {
  it('finds again what an earlier one has stored', async () => {
    const first = await openLevelStore(location);
    await first.put([['a', Uint8Array.of(1, 2)]]);
    await first.close();
    const second = await openLevelStore(location);
    expect([...((await second.get(['a']))[0] as Uint8Array)]).toEqual([1, 2]);
    await second.close();
  });

  it('says that it is open already, and leaves the other one alone', async () => {
    const first = await openLevelStore(location);
    await expect(openLevelStore(location)).rejects.toMatchObject({
      code: 'store',
      where: `openLevelStore(${location})`,
      message: expect.stringContaining('could not be opened') as string,
      fix: expect.stringContaining('Close it where it is open') as string,
      cause: expect.objectContaining({ code: 'LEVEL_DATABASE_NOT_OPEN' }) as Error,
    });
    await first.put([['a', Uint8Array.of(1)]]);
    await first.close();
  });

  it('says that the location is a file, and leaves it alone', async () => {
    await writeFile(location, 'mine');
    await expect(openLevelStore(location)).rejects.toMatchObject({
      code: 'store',
      fix: expect.stringContaining('a folder that may be written') as string,
    });
    expect(await readFile(location, 'utf8')).toBe('mine');
  });

  it('says that it is damaged', async () => {
    const store = await openLevelStore(location);
    await store.close();
    for (const file of await readdir(location)) {
      if (file.startsWith('MANIFEST')) await writeFile(join(location, file), 'not a manifest');
    }
    await expect(openLevelStore(location)).rejects.toMatchObject({
      code: 'store',
      fix: expect.stringContaining('Restore it') as string,
    });
  });

  it('is locked while another process has it, and whole after that process was killed', async () => {
    const child = spawn(process.execPath, [program, location, 'until killed'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let last = -1;
    child.stdout.setEncoding('utf8');
    for await (const text of child.stdout as AsyncIterable<string>) {
      const before = last;
      last = Math.max(last, ...text.trim().split('\n').map(Number));
      if (before < 0)
        await expect(openLevelStore(location)).rejects.toMatchObject({
          code: 'store',
          fix: expect.stringContaining('Close it') as string,
        });
      if (last >= 20) child.kill('SIGKILL');
    }
    expect(child.signalCode ?? (await once(child, 'exit'))[1]).toBe('SIGKILL');

    const store = await openLevelStore(location);
    for (let i = 0; i <= last; i++) {
      const found = await store.get([`left/${i}`, `right/${i}`]);
      for (const value of found) {
        expect(value).toHaveLength(3000);
        expect(value?.every((byte) => byte === i % 256)).toBe(true);
      }
    }
    // The write that was cut off is there with both entries or with none.
    const [left, right] = await store.get([`left/${last + 1}`, `right/${last + 1}`]);
    expect(left === undefined).toBe(right === undefined);
    await store.close();
  });

  // A limit on the size of files stands for the end of the disk: the same partial write, without filling one.
  it.skipIf(process.platform === 'win32')(
    'reports a write that has no room, keeps what was stored, and goes on',
    async () => {
      const command = 'ulimit -f 500 && exec "$0" "$@"';
      const child = spawn('sh', ['-c', command, process.execPath, program, location, 'until full'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let output = '';
      for await (const text of child.stdout.setEncoding('utf8') as AsyncIterable<string>) output += text;
      const { results, found } = JSON.parse(output) as { results: string[]; found: (number | null)[] };
      expect(results).toEqual(['ok', expect.stringContaining('store: ') as string, 'ok']);
      expect(results[1]).toContain('it could not be written');
      expect(found).toEqual([1, null, 3]);

      const store = await openLevelStore(location);
      const kept = await store.get(['before', 'far too large', 'after', 'and after']);
      expect(kept.map((value) => value?.[0] ?? null)).toEqual([1, null, 3, 4]);
      await store.close();
    },
  );
});
