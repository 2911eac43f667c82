// What every store has to do, whatever it is made of.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openLevelStore } from '../src/level-store.ts';
import { memoryStore, type MemoryStore } from '../src/store.ts';

const stores: Record<string, (folder: string) => Promise<MemoryStore>> = {
  memoryStore: async () => memoryStore(),
  openLevelStore: (folder) => openLevelStore(join(folder, 'store')),
};

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

async function keysOf(store: MemoryStore, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of store.keys(prefix)) keys.push(key);
  return keys.sort();
}

describe.each(Object.keys(stores))('%s', (name) => {
  let folder: string;
  let store: MemoryStore;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mnemix-'));
    store = await (stores[name] as (folder: string) => Promise<MemoryStore>)(folder);
  });
  afterEach(async () => {
    await store.close();
    await rm(folder, { recursive: true });
  });

  it('gives back what was put, in the order of the keys asked for', async () => {
    await store.put([
      ['a', bytes(1, 2, 3)],
      ['b', bytes()],
    ]);
    const found = await store.get(['b', 'nobody', 'a']);
    expect(found.map((value) => value && [...value])).toEqual([[], undefined, [1, 2, 3]]);
    expect(found[2]).toBeInstanceOf(Uint8Array);
  });

  it('replaces what stands under a key', async () => {
    await store.put([['a', bytes(1)]]);
    await store.put([['a', bytes(2, 3)]]);
    expect([...((await store.get(['a']))[0] as Uint8Array)]).toEqual([2, 3]);
  });

  it('keeps what was put, whatever becomes of the array that was put or got', async () => {
    const value = bytes(1, 2);
    await store.put([['a', value.subarray(1)]]);
    value.fill(9);
    (await store.get(['a']))[0]?.fill(7);
    expect([...((await store.get(['a']))[0] as Uint8Array)]).toEqual([2]);
  });

  it('deletes keys, and passes over those that are not there', async () => {
    await store.put([
      ['a', bytes(1)],
      ['b', bytes(2)],
    ]);
    await store.delete(['a', 'nobody']);
    expect(await keysOf(store, '')).toEqual(['b']);
  });

  it('lists the keys with a prefix, and no others', async () => {
    const keys = ['a/1', 'a/2', 'a/\u{1f600}', 'a/\uffff', 'a', 'ab', 'b/1', 'a0'];
    await store.put(keys.map((key) => [key, bytes(1)] as const));
    expect(await keysOf(store, 'a/')).toEqual(['a/1', 'a/2', 'a/\u{1f600}', 'a/\uffff'].sort());
    expect(await keysOf(store, 'c')).toEqual([]);
    expect(await keysOf(store, '')).toEqual([...keys].sort());
  });

  it('lets keys be put and deleted while they are listed', async () => {
    await store.put(Array.from({ length: 50 }, (_, i) => [`a/${i}`, bytes(i)] as const));
    const seen: string[] = [];
    for await (const key of store.keys('a/')) {
      seen.push(key);
      await store.delete([key]);
      await store.put([[`b${key}`, bytes(1)]]);
    }
    expect(seen).toHaveLength(50);
    expect(await keysOf(store, 'a/')).toEqual([]);
  });

  it('has nothing to do for empty lists', async () => {
    await store.put([]);
    await store.delete([]);
    expect(await store.get([])).toEqual([]);
  });

  it('holds large values', async () => {
    const large = Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * 31) % 251);
    await store.put([['large', large]]);
    expect(Buffer.compare((await store.get(['large']))[0] as Uint8Array, large)).toBe(0);
  });

  it('rejects everything once it is closed, except closing', async () => {
    await store.close();
    const closed = { name: 'MnemixError', code: 'store' };
    await expect(store.get(['a'])).rejects.toMatchObject(closed);
    await expect(store.put([['a', bytes(1)]])).rejects.toMatchObject(closed);
    await expect(store.delete(['a'])).rejects.toMatchObject(closed);
    await expect(keysOf(store, '')).rejects.toMatchObject(closed);
    await store.close();
  });
});
