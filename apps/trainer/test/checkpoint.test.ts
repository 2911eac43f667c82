import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeSafetensors, encodeSafetensors, type SafetensorsFile } from '@mnemix/lm';
import { disposeTree, MnemixError, openBackend, ones, Rng, zeros } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { listCheckpoints, readCheckpoint, restore, saveCheckpoint, type Position } from '../src/checkpoint.ts';
import { bigramConfig } from './bigram.ts';
import { temporaryFolder } from './folder.ts';

const config = bigramConfig({ output: { keep: 2 } });
const position = (step: number, best?: number): Position => ({
  step, rng: Rng.of(7).toJSON(), reached: false, ...(best !== undefined && { best: { step: best, loss: 1 } }),
});
const tree = () => ({ params: { a: ones([2, 3]), b: zeros([4]) }, moments: { m: { a: ones([2, 3]) } } });

beforeAll(async () => {
  await openBackend('cpu');
});

async function saved(folder = temporaryFolder()): Promise<string> {
  const made = tree();
  const path = await saveCheckpoint(folder, made, position(3), config);
  disposeTree(made);
  return path;
}

/** A saved checkpoint whose bytes were changed. */
async function damaged(change: (bytes: Uint8Array) => Uint8Array): Promise<string> {
  const path = await saved();
  writeFileSync(path, change(new Uint8Array(readFileSync(path))));
  return path;
}

/** A saved checkpoint whose content was changed. */
const altered = (change: (file: SafetensorsFile) => SafetensorsFile): Promise<string> =>
  damaged((bytes) => encodeSafetensors(change(decodeSafetensors(bytes, 'test'))));

async function errorOf(promise: Promise<unknown>): Promise<MnemixError> {
  const error = await promise.then(() => undefined, (reason: unknown) => reason);
  expect(error).toBeInstanceOf(MnemixError);
  return error as MnemixError;
}

describe('a checkpoint', () => {
  it('gives back tensors, position and configuration', async () => {
    const checkpoint = await readCheckpoint(await saved());
    expect(checkpoint).toMatchObject({ position: position(3), config });
    const { params } = restore(checkpoint, { params: tree().params });
    expect(Array.from(await params.a.data())).toEqual([1, 1, 1, 1, 1, 1]);
    expect(params.b.shape).toEqual([4]);
  });

  it('is kept while it is among the newest or the best', async () => {
    const folder = temporaryFolder();
    for (let step = 1; step <= 5; step++) await saveCheckpoint(folder, tree(), position(step, 2), config);
    const kept = (await listCheckpoints(folder)).map((path) => Number(/(\d+)\.safetensors/.exec(path)?.[1]));
    expect(kept).toEqual([2, 4, 5]);
  });
});

describe('a bad checkpoint is refused, naming the file:', () => {
  it.each<[string, (bytes: Uint8Array) => Uint8Array]>([
    ['empty', () => new Uint8Array()],
    ['truncated in the header', (bytes) => bytes.slice(0, 20)],
    ['truncated in the data', (bytes) => bytes.slice(0, -5)],
    ['with a flipped byte in the header', (bytes) => bytes.map((byte, i) => (i === 8 ? byte ^ 0x40 : byte))],
  ])('%s', async (_, change) => {
    const path = await damaged(change);
    expect(await errorOf(readCheckpoint(path))).toMatchObject({ code: 'checkpoint', where: path });
  });

  it('missing', async () => {
    const path = join(temporaryFolder(), 'step-00000001.safetensors');
    expect(await errorOf(readCheckpoint(path))).toMatchObject({ code: 'file', where: path });
  });

  it('safetensors of something else', async () => {
    const path = await altered(({ tensors }) => ({ tensors, metadata: { format: 'pt' } }));
    expect((await errorOf(readCheckpoint(path))).message).toContain('its format is pt');
  });

  it.each<[string, (file: SafetensorsFile) => SafetensorsFile, RegExp]>([
    ['with a tensor missing', ({ metadata, tensors: { 'params.b': _, ...tensors } }) => ({ metadata, tensors }), /params\.b/],
    [
      'with an unknown tensor',
      ({ metadata, tensors }) => ({ metadata, tensors: { ...tensors, 'params.c': { shape: [1], data: new Float32Array(1) } } }),
      /params\.c/,
    ],
    [
      'of a model with other sizes',
      ({ metadata, tensors }) => ({ metadata, tensors: { ...tensors, 'params.b': { shape: [5], data: new Float32Array(5) } } }),
      /params\.b \[5\] instead of \[4\]/,
    ],
  ])('%s', async (_, change, message) => {
    const checkpoint = await readCheckpoint(await altered(change));
    const like = { params: tree().params };
    const error = await errorOf(Promise.resolve().then(() => restore(checkpoint, like)));
    expect(error).toMatchObject({ code: 'checkpoint', where: checkpoint.path });
    expect(error.message).toMatch(message);
  });
});
