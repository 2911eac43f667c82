// Saving over an earlier checkpoint: shards, what is left behind, and a process that dies at any point of it.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { disposeTree, flatten, leaves, memory, openBackend, Rng } from '@mnemix/tensor';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLm, type LmConfig, type Pretrained } from '../src/index.ts';
import { loadPretrained, savePretrained } from '../src/node.ts';

/** After this many more operations on the disk, all of them fail: what a killed process does is what it has done. */
const disk = vi.hoisted(() => ({ operations: Infinity }));
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  const mortal =
    <A extends unknown[], R>(f: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      if (disk.operations-- <= 0) throw new Error('killed');
      return f(...args);
    };
  return {
    ...real,
    mkdir: mortal(real.mkdir as never),
    open: mortal(real.open),
    readdir: mortal(real.readdir as never),
    rename: mortal(real.rename),
    rm: mortal(real.rm),
  };
});

let folder: string;
beforeAll(async () => {
  await openBackend('wasm');
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mnemix-'));
});
afterEach(async () => {
  disk.operations = Infinity;
  await rm(folder, { recursive: true });
});

const shape: LmConfig = {
  vocabSize: 7,
  width: 8,
  layers: 1,
  mlp: { hidden: 4 },
  mixer: { type: 'gla', heads: 1, gateNormalizer: 4 },
};
const modelOf = (seed: number, gateNormalizer: number): Pretrained => {
  const model = createLm({ ...shape, mixer: { type: 'gla', heads: 1, gateNormalizer } });
  return { model, params: model.init(Rng.of(seed)) };
};
const numbers = ({ params }: Pretrained) => leaves(params).map((leaf) => [...leaf.dataSync()]);

/** What a folder holds: its weights and its configuration, or why it does not load. */
async function held(): Promise<unknown> {
  disk.operations = Infinity;
  try {
    const loaded = await loadPretrained(folder);
    const content = [loaded.model.config.mixer, numbers(loaded)];
    disposeTree(loaded.params);
    return content;
  } catch (error) {
    return (error as { code: string }).code;
  }
}
const content = (pretrained: Pretrained): unknown => [pretrained.model.config.mixer, numbers(pretrained)];

const shards = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => `model-0000${i + 1}-of-0000${count}.safetensors`);

describe('saving', () => {
  it('splits large weights into shards with an index, as Hugging Face names them', async () => {
    const saved = modelOf(1, 4);
    await savePretrained(folder, saved, { maxShardBytes: 800 });
    const index = JSON.parse(await readFile(join(folder, 'model.safetensors.index.json'), 'utf8'));
    const bytes = 4 * leaves(saved.params).reduce((sum, { size }) => sum + size, 0);
    expect(index.metadata.total_size).toBe(bytes);
    expect(Object.keys(index.weight_map)).toEqual(Object.keys(flatten(saved.params)));
    const names = [...new Set(Object.values<string>(index.weight_map))];
    expect(names.length).toBeGreaterThan(2);
    expect(names).toEqual(shards(names.length));
    for (const name of names) expect((await readFile(join(folder, name))).length).toBeLessThan(800 + 2000);
    expect((await readdir(folder)).sort()).toEqual(
      ['config.json', ...names, 'model.safetensors.index.json'].sort(),
    );
    expect(await held()).toEqual(content(saved));
    disposeTree(saved.params);
  });

  it('gives a tensor that is larger than the limit a file of its own', async () => {
    const saved = modelOf(1, 4);
    await savePretrained(folder, saved, { maxShardBytes: 1 });
    const count = leaves(saved.params).length;
    expect((await readdir(folder)).filter((name) => name.includes('-of-'))).toHaveLength(count);
    expect(await held()).toEqual(content(saved));
    disposeTree(saved.params);
  });

  it.each([
    ['shards', 'one file', 800, undefined],
    ['one file', 'shards', undefined, 800],
    ['shards', 'fewer shards', 300, 1200],
  ])('replaces %s by %s, and leaves other files alone', async (_, __, before, after) => {
    const [first, second] = [modelOf(1, 4), modelOf(2, 8)];
    await savePretrained(folder, first, { maxShardBytes: before });
    await writeFile(join(folder, 'notes.safetensors'), 'mine');
    await writeFile(join(folder, 'model-00001-of-00009.safetensors.partial'), 'of a killed process');
    await savePretrained(folder, second, { maxShardBytes: after });
    expect(await held()).toEqual(content(second));
    const names = await readdir(folder);
    const alone = await mkdtemp(join(tmpdir(), 'mnemix-'));
    await savePretrained(alone, second, { maxShardBytes: after });
    expect(names.sort()).toEqual([...(await readdir(alone)), 'notes.safetensors'].sort());
    await rm(alone, { recursive: true });
    disposeTree({ a: first.params, b: second.params });
  });

  it.each([
    ['shards', 'one file', 800, undefined],
    ['one file', 'shards', undefined, 800],
    ['one file', 'one file', undefined, undefined],
    ['shards', 'shards', 800, 800],
  ])('over %s with %s never leaves a mixture, wherever it is killed', async (_, __, before, after) => {
    const [first, second] = [modelOf(1, 4), modelOf(2, 8)];
    const [old, fresh] = [content(first), content(second)];
    const seen = new Set<string>();
    for (let operations = 0, done = false; !done; operations++) {
      disk.operations = Infinity;
      await savePretrained(folder, first, { maxShardBytes: before });
      disk.operations = operations;
      const end = await savePretrained(folder, second, { maxShardBytes: after }).then(
        () => 'done',
        (error: { code: string }) => error.code,
      );
      done = end === 'done';
      if (!done) expect(end).toBe('file');
      const found = await held();
      expect([old, fresh, 'file']).toContainEqual(found);
      seen.add(found === 'file' ? 'neither' : String(found) === String(fresh) ? 'new' : 'old');
      // Saving again repairs it.
      await savePretrained(folder, second, { maxShardBytes: after });
      expect(await held()).toEqual(fresh);
      expect((await readdir(folder)).filter((name) => name.endsWith('.partial'))).toEqual([]);
    }
    expect([...seen].sort()).toEqual(['neither', 'new', 'old']);
    disposeTree({ a: first.params, b: second.params });
  });

  it('reports a path that cannot be written or read, and allocates nothing', async () => {
    const saved = modelOf(1, 4);
    const file = join(folder, 'file');
    await writeFile(file, '');
    await mkdir(join(folder, 'config.json'));
    const before = memory().numTensors;
    await expect(savePretrained(file, saved)).rejects.toMatchObject({ code: 'file', where: file });
    await expect(loadPretrained(file)).rejects.toMatchObject({
      code: 'file',
      where: join(file, 'config.json'),
    });
    await expect(loadPretrained(folder)).rejects.toThrow(/config\.json: it could not be read: EISDIR/);
    await expect(savePretrained(folder, saved, { maxShardBytes: 0 })).rejects.toThrow(
      /maxShardBytes: it is 0/,
    );
    expect(memory().numTensors).toBe(before);
    disposeTree(saved.params);
  });
});
