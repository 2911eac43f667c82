// The archive of a layer over states made by hand: a window of 4 tokens, two eidetic slots of two tokens each, two recalled slots.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  disposeTree,
  memory,
  openBackend,
  Rng,
  tensor1d,
  tensor2d,
  tensor3d,
  tidy,
  type Tensor2D,
} from '@mnemix/tensor';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openArchive, type Archive } from '../src/archive.ts';
import type { ArchiveOptions } from '../src/archive-options.ts';
import type { ArchiveReport } from '../src/archived-stream.ts';
import { bmojo, type BmojoParams, type BmojoState, type RecalledState } from '../src/index.ts';
import type { EideticState } from '../src/eidetic.ts';
import { openLevelStore } from '../src/level-store.ts';
import { random } from '../src/policy.ts';
import { memoryStore, type MemoryStore } from '../src/store.ts';

const [window, held, tokens, width, slots] = [4, 2, 2, 3, 2];

/** Number `i` of what the slot of the token at `position` holds; unlike any other's. */
const keyAt = (position: number, i: number): number => Math.fround(position + i / 10);
const valueAt = (position: number, i: number): number => -keyAt(position, i);
const scoreOf = (position: number): number => Math.fround(100 - position / 3);

interface Made {
  readonly position: number;
  /** Positions in the slots. */
  readonly holds?: readonly number[];
  /** All keys of the window. */
  readonly windowKey?: readonly number[];
  readonly scores?: readonly number[];
}

function stateOf(sequences: readonly Made[], recalledSlots = slots): BmojoState {
  const count = sequences.length;
  const slotNumbers = (at: (position: number, i: number) => number) =>
    sequences.flatMap(({ holds = [] }) =>
      Array.from({ length: held }, (_, slot) =>
        Array.from({ length: tokens * width }, (_, i) =>
          slot < holds.length ? at(holds[slot] as number, i) : 0,
        ),
      ).flat(),
    );
  const perSlot = (of: (made: Made, slot: number) => number) =>
    tensor2d(
      sequences.flatMap((made) => Array.from({ length: held }, (_, slot) => of(made, slot))),
      [count, held],
    );
  const shape: [number, number, number] = [count, held * tokens, width];
  const windowKeys = sequences.flatMap(({ windowKey = [0, 0, 0] }) =>
    Array.from({ length: window }, () => windowKey).flat(),
  );
  return {
    position: tensor1d(sequences.map(({ position }) => position)),
    window: {
      keys: tensor3d(windowKeys, [count, window, width]),
      values: tensor3d(windowKeys, [count, window, width]),
    },
    eidetic: {
      keys: tensor3d(slotNumbers(keyAt), shape),
      values: tensor3d(slotNumbers(valueAt), shape),
      positions: perSlot(({ holds = [] }, slot) => holds[slot] ?? -1),
      scores: perSlot(({ holds = [], scores = [] }, slot) =>
        slot < holds.length ? (scores[slot] ?? scoreOf(holds[slot] as number)) : -Infinity,
      ),
    },
    recalled: {
      keys: tensor3d(new Float32Array(count * recalledSlots * tokens * width), [
        count,
        recalledSlots * tokens,
        width,
      ]),
      values: tensor3d(new Float32Array(count * recalledSlots * tokens * width), [
        count,
        recalledSlots * tokens,
        width,
      ]),
      positions: tensor2d(new Float32Array(count * recalledSlots).fill(-1), [count, recalledSlots]),
    },
  };
}

const positionsOf = ({ recalled }: BmojoState): number[] => [
  ...(recalled as RecalledState).positions.dataSync(),
];

/** What comes back for a state, once the archive is through with it. */
async function settled(archive: Archive, sequences: readonly Made[]): Promise<BmojoState> {
  archive.refresh(stateOf(sequences));
  await archive.flush();
  return archive.refresh(stateOf(sequences));
}

async function keysOf(store: MemoryStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of store.keys('')) keys.push(key);
  return keys.sort();
}

/** A sequence after chunk c, whose slots hold two positions of it. */
const afterChunk = (c: number): Made => ({
  position: c * window + 1,
  holds: [c * window - 1, c * window - 2],
});

/** Chunks 1 to `last`, one after the other: all of their slots are stored. */
async function stream(archive: Archive, last: number, sequences = 1): Promise<void> {
  for (let c = 1; c <= last; c++) {
    archive.refresh(stateOf(Array.from({ length: sequences }, () => afterChunk(c))));
    await archive.flush();
  }
}

let reports: ArchiveReport[];
const open = (options: Partial<ArchiveOptions> = {}): Promise<Archive> =>
  openArchive({ stream: 's', slots, window, onReport: (report) => reports.push(report), ...options });

beforeAll(async () => {
  await openBackend('wasm');
});
beforeEach(() => {
  reports = [];
});

describe('what is stored', () => {
  it('is every slot that is newly held, once for each chunk', async () => {
    const inner = memoryStore();
    const puts: string[][] = [];
    const store: MemoryStore = {
      ...inner,
      put: (entries) => (puts.push(entries.map(([key]) => key)), inner.put(entries)),
    };
    const archive = await open({ store });
    const steps: Made[] = [
      { position: 0 },
      { position: 4 },
      { position: 5, holds: [3, 1] },
      { position: 6, holds: [3, 1] },
      { position: 8, holds: [3, 1] },
      { position: 9, holds: [6, 3] },
      { position: 17, holds: [6, 14] }, // two chunks at once
    ];
    for (const step of steps) {
      archive.refresh(stateOf([step]));
      await archive.flush();
    }
    expect(puts).toEqual([['s/0/3', 's/0/1'], ['s/0/6'], ['s/0/14']]);
  });

  it('is kept of each sequence apart, and of each stream', async () => {
    const store = memoryStore();
    const streams = await Promise.all(['a', 'a/0', 'ü %'].map((name) => open({ store, stream: name })));
    for (const archive of streams) {
      archive.refresh(stateOf([afterChunk(1), { position: 1 }]));
      await archive.flush();
    }
    expect(await keysOf(store)).toEqual(
      ['a/0/2', 'a/0/3', 'a%2F0/0/2', 'a%2F0/0/3', '%C3%BC%20%25/0/2', '%C3%BC%20%25/0/3'].sort(),
    );
    // None finds the others' entries: with all four of its own on the device, nothing comes back.
    const again = await open({ store, stream: 'a' });
    expect(positionsOf(await settled(again, [afterChunk(1), { position: 9 }]))).toEqual([-1, -1, -1, -1]);
    expect(reports).toEqual([]);
  });

  it('is replaced where a stream that was rolled back holds another token at its position', async () => {
    const archive = await open();
    await settled(archive, [{ position: 5, holds: [3] }]);
    await settled(archive, [{ position: 2 }]);
    await settled(archive, [{ position: 5, holds: [3], scores: [7] }]);
    const other = await settled(archive, [{ position: 9, holds: [] }]);
    expect(positionsOf(other)).toEqual([3, -1]);
  });

  it('is at most the capacity for each sequence, without the lowest scores', async () => {
    const store = memoryStore();
    const archive = await open({ store, capacity: 3 });
    await stream(archive, 3, 2);
    // Scores fall with the position.
    expect(await keysOf(store)).toEqual([0, 1].flatMap((s) => [2, 3, 6].map((p) => `s/${s}/${p}`)));
    expect(reports).toEqual([]);
  });

  it('does not depend on what becomes of the state', async () => {
    const store = memoryStore();
    const archive = await open({ store });
    tidy(() => {
      archive.refresh(stateOf([afterChunk(1)]));
    });
    await archive.flush();
    expect(await keysOf(store)).toEqual(['s/0/2', 's/0/3']);
  });
});

describe('what comes back', () => {
  it('are the highest scores that are stored and not on the device, as they were', async () => {
    const archive = await open();
    await stream(archive, 3);
    const state = await settled(archive, [{ position: 17, holds: [2, 15] }]);
    const { keys, values, positions } = state.recalled as RecalledState;
    expect([...positions.dataSync()]).toEqual([3, 6]);
    const numbers = (at: typeof keyAt) =>
      [3, 6].flatMap((position) => Array.from({ length: tokens * width }, (_, i) => at(position, i)));
    expect([...keys.dataSync()]).toEqual(numbers(keyAt));
    expect([...values.dataSync()]).toEqual(numbers(valueAt));
    expect(keys.shape).toEqual([1, slots * tokens, width]);
  });

  it('is what is most similar to the window, if so chosen', async () => {
    const archive = await open({ choose: 'similar' });
    await stream(archive, 3);
    // Keys grow with the position: a positive query wants the last, a negative one the first.
    const last = await settled(archive, [{ position: 17, holds: [15], windowKey: [1, 1, 1] }]);
    expect(positionsOf(last)).toEqual([11, 10]);
    const first = await settled(archive, [{ position: 21, holds: [15], windowKey: [-1, 0, 0] }]);
    expect(positionsOf(first)).toEqual([2, 3]);
  });

  it('is chosen for each sequence by itself', async () => {
    const archive = await open({ choose: 'similar' });
    await stream(archive, 2, 2);
    const state = await settled(archive, [
      { position: 17, windowKey: [0, 1, 0] },
      { position: 18, windowKey: [0, -1, 0] },
    ]);
    expect(positionsOf(state)).toEqual([7, 6, 2, 3]);
  });

  it('is nothing that comes after the state, when it is an older one', async () => {
    const archive = await open();
    await stream(archive, 3);
    expect(positionsOf(await settled(archive, [{ position: 3, holds: [] }]))).toEqual([2, -1]);
    // What was read for a newer state is not shown to an older one either.
    archive.refresh(stateOf([{ position: 17, holds: [2] }]));
    await archive.flush();
    expect(positionsOf(archive.refresh(stateOf([{ position: 5 }])))).toEqual([3, -1]);
    // Nothing was thrown away for it.
    expect(positionsOf(await settled(archive, [{ position: 17, holds: [2] }]))).toEqual([3, 6]);
    expect(reports).toEqual([]);
  });

  it('is shown once, in the first state after the read', async () => {
    const archive = await open();
    await stream(archive, 2);
    const state = stateOf([{ position: 10, holds: [7, 6] }]);
    expect(archive.refresh(state)).not.toBe(state);
    expect(archive.refresh(state)).toBe(state);
    await archive.flush();
  });
});

describe('a stream that goes on in another process', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mnemix-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('finds its entries in the store', async () => {
    const location = join(folder, 'goes-on');
    const before = await openLevelStore(location);
    const archive = await open({ store: before });
    await stream(archive, 40);
    await archive.close();
    await before.close();

    const store = await openLevelStore(location);
    const after = await open({ store });
    const state = await settled(after, [{ position: 165, holds: [2, 3] }]);
    expect(positionsOf(state)).toEqual([6, 7]);
    expect(reports).toEqual([]);
    await after.close();
    await store.close();
  });

  it('leaves out what an earlier run stored after the state with which it goes on', async () => {
    const store = memoryStore();
    await stream(await open({ store }), 3);
    const archive = await open({ store });
    expect(positionsOf(await settled(archive, [{ position: 7 }]))).toEqual([2, 3]);
    expect(reports.map(({ kind, position }) => [kind, position])).toEqual(
      [7, 11, 10].map((position) => ['stale', position]),
    );
    expect(archive.reports).toEqual({ missing: 0, corrupt: 0, stale: 3 });
    // Going on, it stays out until the stream itself holds that position.
    expect(positionsOf(await settled(archive, [{ position: 17, holds: [2, 3] }]))).toEqual([6, -1]);
    await settled(archive, [{ position: 21, holds: [11] }]);
    expect(positionsOf(await settled(archive, [{ position: 25, holds: [2, 3] }]))).toEqual([6, 11]);
  });
});

describe('an entry that cannot be used', () => {
  let store: MemoryStore;
  beforeEach(async () => {
    store = memoryStore();
    await stream(await open({ store }), 3);
  });
  const later: Made = { position: 17, holds: [11, 10] };

  it.each([
    ['a flipped bit in a number', (bytes: Uint8Array) => flip(bytes, -40)],
    ['a flipped bit in the header', (bytes: Uint8Array) => flip(bytes, 12)],
    ['a flipped bit in the checksum', (bytes: Uint8Array) => flip(bytes, -1)],
    ['a missing end', (bytes: Uint8Array) => bytes.slice(0, -1)],
    ['only a few bytes', (bytes: Uint8Array) => bytes.slice(0, 20)],
    ['no bytes', () => new Uint8Array()],
  ])('is reported once as corrupt, and left out: %s', async (_, damage) => {
    const archive = await open({ store });
    const [bytes] = await store.get(['s/0/2']);
    await store.put([['s/0/2', damage(bytes as Uint8Array)]]);
    expect(positionsOf(await settled(archive, [later]))).toEqual([3, -1]);
    expect(positionsOf(await settled(archive, [{ ...later, position: 21 }]))).toEqual([3, 6]);
    expect(reports).toEqual([{ kind: 'corrupt', key: 's/0/2', position: 2 }]);
    expect(archive.reports).toEqual({ missing: 0, corrupt: 1, stale: 0 });
  });

  it('is reported as corrupt where it stands under the name of another', async () => {
    const [bytes] = await store.get(['s/0/3']);
    await store.put([['s/0/2', bytes as Uint8Array]]);
    const archive = await open({ store });
    expect(positionsOf(await settled(archive, [later]))).toEqual([3, 6]);
    expect(reports).toEqual([{ kind: 'corrupt', key: 's/0/2', position: 2 }]);
  });

  it('is reported once as missing, and left out', async () => {
    const archive = await open({ store });
    await store.delete(['s/0/2', 's/0/3']);
    expect(positionsOf(await settled(archive, [later]))).toEqual([-1, -1]);
    expect(positionsOf(await settled(archive, [{ ...later, position: 21 }]))).toEqual([6, 7]);
    expect(reports.map(({ kind, key }) => [kind, key])).toEqual([
      ['missing', 's/0/2'],
      ['missing', 's/0/3'],
    ]);
  });

  it('is stale, if it was made with other weights', async () => {
    const archive = await open({ store, tag: 'other' });
    expect(archive.reports).toEqual({ missing: 0, corrupt: 0, stale: 6 });
    expect(positionsOf(await settled(archive, [later]))).toEqual([-1, -1]);
    // The two that were stored anew are of these weights.
    expect(positionsOf(await settled(archive, [{ position: 21 }]))).toEqual([10, 11]);
    expect(reports).toHaveLength(6);
  });

  it('is stale, if it is of another format', async () => {
    const [bytes] = await store.get(['s/0/2']);
    const body = (bytes as Uint8Array).slice(0, -32);
    body[0] = 2;
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', body));
    await store.put([['s/0/2', Uint8Array.from([...body, ...digest])]]);
    await open({ store });
    expect(reports).toEqual([{ kind: 'stale', key: 's/0/2', position: 2 }]);
  });

  it('is stale, if the layer has other sizes', async () => {
    const archive = await open({ store });
    const state = stateOf([later]);
    const wider = widened(state);
    archive.refresh(wider);
    await archive.flush();
    expect(positionsOf(archive.refresh(wider))).toEqual([-1, -1]);
    expect(reports.map(({ kind, position }) => [kind, position])).toEqual([
      ['stale', 2],
      ['stale', 3],
    ]);
  });

  it('leaves first where there is a capacity, and is replaced where it is held again', async () => {
    const archive = await open({ store, tag: 'other', capacity: 3 });
    await settled(archive, [{ position: 17, holds: [15, 14] }]);
    expect((await keysOf(store)).filter((key) => /1[45]$/.test(key))).toHaveLength(2);
    expect(await keysOf(store)).toHaveLength(3);
  });
});

const flip = (bytes: Uint8Array, at: number): Uint8Array =>
  bytes.with(at < 0 ? bytes.length + at : at, (bytes.at(at) as number) ^ 1);

/** The state with keys and values one number wider. */
function widened(state: BmojoState): BmojoState {
  const { eidetic, recalled } = state as Required<BmojoState>;
  const zeros = (length: number) => tensor3d(new Float32Array(length * (width + 1)), [1, length, width + 1]);
  return {
    ...state,
    eidetic: { ...eidetic, keys: zeros(held * tokens), values: zeros(held * tokens) },
    recalled: { ...recalled, keys: zeros(slots * tokens), values: zeros(slots * tokens) },
  } as BmojoState;
}

describe('a store that fails', () => {
  /** A store in which one operation can be made to fail. */
  function failing(): { store: MemoryStore; fail: Set<keyof MemoryStore> } {
    const inner = memoryStore();
    const fail = new Set<keyof MemoryStore>();
    const or =
      <A extends unknown[], R>(name: keyof MemoryStore, work: (...args: A) => Promise<R>) =>
      async (...args: A): Promise<R> => {
        if (fail.has(name)) throw new Error('no space left on device');
        return work(...args);
      };
    return {
      fail,
      store: {
        ...inner,
        get: or('get', inner.get),
        put: or('put', inner.put),
        delete: or('delete', inner.delete),
      },
    };
  }
  const error = {
    name: 'MnemixError',
    code: 'store',
    where: 'archive of s',
    message: expect.stringContaining('no space left on device') as string,
    cause: expect.any(Error) as Error,
  };

  it('has its error thrown by the next refresh, once; what is stored still comes back', async () => {
    const { store, fail } = failing();
    const archive = await open({ store });
    await stream(archive, 2);
    fail.add('put');
    archive.refresh(stateOf([afterChunk(3)]));
    await nextTurns();
    expect(() => archive.refresh(stateOf([afterChunk(3)]))).toThrow(expect.objectContaining(error) as Error);
    expect(positionsOf(archive.refresh(stateOf([afterChunk(3)])))).toEqual([2, 3]);
    // Once there is room again, the next chunk stores what is still held.
    fail.clear();
    await settled(archive, [{ position: 17, holds: [11, 10] }]);
    expect(await keysOf(store)).toContain('s/0/11');
    await archive.close();
  });

  it('has its error thrown by flush, or by close', async () => {
    const { store, fail } = failing();
    const archive = await open({ store });
    await stream(archive, 2);
    fail.add('get');
    archive.refresh(stateOf([afterChunk(3)]));
    await expect(archive.flush()).rejects.toMatchObject(error);
    await archive.flush();
    archive.refresh(stateOf([afterChunk(4)]));
    await expect(archive.close()).rejects.toMatchObject(error);
  });

  it('gives no room that it could not make', async () => {
    const { store, fail } = failing();
    const archive = await open({ store, capacity: 3 });
    await stream(archive, 1);
    fail.add('delete');
    archive.refresh(stateOf([afterChunk(2)]));
    await expect(archive.flush()).rejects.toMatchObject(error);
    expect(await keysOf(store)).toHaveLength(4);
    fail.clear();
    await stream(archive, 3);
    expect(await keysOf(store)).toHaveLength(3);
  });

  it('cannot be opened', async () => {
    const { store, fail } = failing();
    await stream(await open({ store }), 1);
    fail.add('get');
    await expect(open({ store })).rejects.toMatchObject(error);
  });

  it('does not hold up refresh when it never answers', async () => {
    const inner = memoryStore();
    const archive = await open({ store: { ...inner, get: () => new Promise(() => {}) } });
    await stream(archive, 1);
    archive.refresh(stateOf([afterChunk(2)]));
    await nextTurns();
    const before = memory().numTensors;
    for (let position = 9; position < 60; position++) {
      const state = stateOf([{ position, holds: [2, 3] }]);
      expect(archive.refresh(state)).toBe(state);
      disposeTree(state);
      if (position % 10 === 0) await nextTurns();
    }
    // All it keeps is the newest state, which waits for its turn.
    expect(memory().numTensors - before).toBeLessThanOrEqual(5);
  });
});

/** Time for whatever needs no waiting. */
const nextTurns = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

describe('an archive', () => {
  it.each([['score'], ['similar']] as const)('leaks no tensor, choosing by %s', async (choose) => {
    const archive = await open({ choose });
    let state = stateOf([afterChunk(1)]);
    archive.refresh(state);
    await archive.flush();
    const before = memory().numTensors;
    for (let position = 5; position < 105; position++) {
      const chunk = Math.floor((position - 1) / window);
      const next = stateOf([{ ...afterChunk(chunk), position }]);
      disposeTree(state);
      state = archive.refresh(next);
      if (state !== next) disposeTree(next.recalled);
      if (position % 3 === 0) await archive.flush();
    }
    await archive.flush();
    expect(memory().numTensors).toBe(before);
    disposeTree(state);
    await archive.close();
  });

  it('stores what was waiting when it is closed, and is over then', async () => {
    const store = memoryStore();
    const archive = await open({ store });
    archive.refresh(stateOf([afterChunk(1)]));
    archive.refresh(stateOf([afterChunk(2)]));
    await archive.close();
    expect(await keysOf(store)).toEqual(['s/0/2', 's/0/3', 's/0/6', 's/0/7']);
    expect(() => archive.refresh(stateOf([afterChunk(3)]))).toThrow(
      expect.objectContaining({ code: 'store' }) as Error,
    );
    await store.put([]);
  });

  it.each([
    ['a stream without a name', { stream: '' }, 'openArchive(stream)'],
    ['half a character', { stream: '\ud800' }, 'openArchive(stream)'],
    ['no slots', { slots: 0 }, 'openArchive(slots)'],
    ['half a window', { window: 1.5 }, 'openArchive(window)'],
    ['a capacity of nothing', { capacity: 0 }, 'openArchive(capacity)'],
    ['an unknown choice', { choose: 'best' as never }, 'openArchive(choose)'],
    ['an unknown option', { size: 1 } as never, 'openArchive: size'],
  ])('refuses %s', async (_, options, where) => {
    await expect(open(options)).rejects.toMatchObject({ code: 'config', where });
  });

  it('refuses states that it cannot serve, before any work', async () => {
    const store = memoryStore();
    const archive = await open({ store });
    const { recalled: _, ...without } = stateOf([afterChunk(1)]);
    const refusal = (state: BmojoState, code: string) =>
      expect(() => archive.refresh(state)).toThrow(expect.objectContaining({ code }) as Error);
    refusal(without as BmojoState, 'config');
    refusal(stateOf([afterChunk(1)], slots + 1), 'state');
    await archive.flush();
    expect(await keysOf(store)).toEqual([]);
    archive.refresh(stateOf([afterChunk(1)]));
    refusal(stateOf([afterChunk(1), afterChunk(1)]), 'state');
    await archive.close();

    const similar = await open({ choose: 'similar' });
    const { window: __, ...blind } = stateOf([afterChunk(1)]);
    expect(() => similar.refresh(blind as BmojoState)).toThrow(
      expect.objectContaining({ code: 'config' }) as Error,
    );
    const small = await open({ capacity: held });
    expect(() => small.refresh(stateOf([afterChunk(1)]))).toThrow(
      expect.objectContaining({ code: 'config', where: 'openArchive(capacity)' }) as Error,
    );
  });
});

describe('beside a layer', () => {
  const layer = bmojo({
    width: 8,
    heads: 2,
    window,
    eidetic: { slots: held, recalled: slots, span: 1, policy: random() },
  });
  let params: BmojoParams;
  let inputs: Tensor2D[];
  beforeAll(() => {
    params = layer.init(Rng.of(1));
    inputs = Array.from({ length: 33 }, (_, t) => Rng.of(t).normal([1, 8]) as Tensor2D);
  });

  /** Decodes tokens `from` to `to`, with the archive up to date at every token, or without one. */
  async function decode(state: BmojoState, from: number, to: number, archive?: Archive) {
    const outputs: number[] = [];
    let next = state;
    for (const x of inputs.slice(from, to)) {
      const step = layer.step(params, x, next);
      outputs.push(...step.y.dataSync());
      archive?.refresh(step.state);
      await archive?.flush();
      next = archive?.refresh(step.state) ?? step.state;
    }
    return { outputs, state: next };
  }

  it('shows queries what the slots hold no longer', async () => {
    const archive = await open();
    const { outputs, state } = await decode(layer.initialState(1), 0, 33, archive);
    const alone = await decode(layer.initialState(1), 0, 33);
    const back = positionsOf(state);
    const onDevice = [...(state.eidetic as EideticState).positions.dataSync()];
    expect(back.every((position) => position >= 0 && !onDevice.includes(position))).toBe(true);
    // The same until something has come back, and another then.
    const differs = outputs.findIndex((value, i) => value !== alone.outputs[i]);
    expect(differs).toBeGreaterThanOrEqual(8 * 2 * window);
    expect(outputs.every(Number.isFinite)).toBe(true);
  });

  it('goes on in another process as if it had not ended', async () => {
    const whole = await decode(layer.initialState(1), 0, 33, await open());
    const store = memoryStore();
    const first = await decode(layer.initialState(1), 0, 22, await open({ store }));
    const second = await decode(first.state, 22, 33, await open({ store }));
    expect([...first.outputs, ...second.outputs]).toEqual(whole.outputs);
  });
});
