import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeSafetensors, encodeSafetensors } from '@mnemix/lm';
import { disposeTree, MnemixError, openBackend, ones, Rng, zeros, type TensorTree } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  listCheckpoints,
  readCheckpoint,
  restore,
  saveCheckpoint,
  type Checkpoint,
  type Position,
} from '../src/checkpoint.ts';
import { bigramConfig } from './bigram.ts';
import { temporaryFolder } from './folder.ts';

const config = bigramConfig({ output: { keep: 2 } });
const position = (step: number, best?: number): Position => ({
  step,
  rng: Rng.of(7).toJSON(),
  reached: false,
  ...(best !== undefined && { best: { step: best, loss: 1 } }),
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

async function errorOf(promise: Promise<unknown>): Promise<MnemixError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
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
  ])('%s', async (_, change) => {
    const path = await damaged(change);
    expect(await errorOf(readCheckpoint(path))).toMatchObject({ code: 'checkpoint', where: path });
  });

  it('with any one byte changed, wherever it is', async () => {
    const bytes = new Uint8Array(readFileSync(await saved()));
    const whole = decodeSafetensors(bytes, 'whole');
    const path = join(temporaryFolder(), 'step-00000001.safetensors');
    for (let at = 0; at < bytes.length; at++) {
      writeFileSync(
        path,
        bytes.map((byte, i) => (i === at ? byte ^ 0x01 : byte)),
      );
      // What still reads must mean the same, e.g. with another blank after the header.
      const read = await readCheckpoint(path).catch((error: unknown) => error);
      if (read instanceof MnemixError) expect(read).toMatchObject({ code: 'checkpoint', where: path });
      else expect((read as Checkpoint).tensors, `byte ${at}`).toEqual(whole.tensors);
    }
  });

  it('missing', async () => {
    const path = join(temporaryFolder(), 'step-00000001.safetensors');
    expect(await errorOf(readCheckpoint(path))).toMatchObject({ code: 'file', where: path });
  });

  it('safetensors of something else', async () => {
    const path = await damaged((bytes) => {
      const { tensors } = decodeSafetensors(bytes, 'test');
      return encodeSafetensors({ tensors, metadata: { format: 'pt' } });
    });
    expect((await errorOf(readCheckpoint(path))).message).toContain('its format is pt');
  });

  it.each<[string, () => Record<string, TensorTree>, RegExp]>([
    ['with a tensor missing', () => ({ a: zeros([2, 3]) }), /missing: params\.b/],
    [
      'with an unknown tensor',
      () => ({ a: zeros([2, 3]), b: zeros([4]), c: zeros([1]) }),
      /unknown: params\.c/,
    ],
    [
      'of a model with other sizes',
      () => ({ a: zeros([2, 3]), b: zeros([5]) }),
      /params\.b \[5\] instead of \[4\]/,
    ],
  ])('%s', async (_, params, message) => {
    const path = await saveCheckpoint(
      temporaryFolder(),
      { params: params(), moments: {} },
      position(3),
      config,
    );
    const checkpoint = await readCheckpoint(path);
    const error = await errorOf(Promise.resolve().then(() => restore(checkpoint, { params: tree().params })));
    expect(error).toMatchObject({ code: 'checkpoint', where: path });
    expect(error.message).toMatch(message);
  });
});
