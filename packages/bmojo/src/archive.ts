// The in-storage tier of a B'MOJO layer (Zancato et al. 2024, §2: the long-term eidetic memory, which is read asynchronously). What
// the eidetic slots hold is written through to a store; what they hold no longer comes back into the layer's `recalled` slots.
// Decoding never waits for it: a read that was started in one chunk is shown when it is there.
import { checkState } from '@mnemix/layers';
import { AsyncScope, checkConfig, mapTree, mean, slice, tidy, type Tensor } from '@mnemix/tensor';
import { byScore, bySimilarity } from './archive-index.ts';
import { checkedOptions, type ArchiveOptions } from './archive-options.ts';
import { ArchivedStream, type ArchiveReportKind, type Placed } from './archived-stream.ts';
import type { BmojoState } from './state.ts';
import type { EideticState } from './eidetic.ts';
import type { Entry } from './entry.ts';
import {
  inSlots,
  perSequence,
  shapeOf,
  sizesOf,
  toState,
  type Recalled,
  type Sizes,
} from './recalled-slots.ts';
import { storeError } from './store.ts';
import { NOBODY } from './timeline.ts';

export interface Archive {
  /** How many entries had to be left out, by reason. */
  readonly reports: Readonly<Record<ArchiveReportKind, number>>;
  /**
   * Call it with each new state, and go on with what it returns: the state, with new `recalled` slots whenever a read has finished.
   * Once the state has entered another chunk, it starts to store what the eidetic slots hold anew, and to read what shall come back.
   * It never waits; if tokens come faster than the device can be read, chunks in between are passed over.
   *
   * @throws MnemixError `config` for a layer without recalled slots, `state` for other sizes than before; `store` for what failed since
   *   the last call: the next one goes on
   */
  refresh(state: BmojoState): BmojoState;
  /**
   * Waits until all is stored and read that was started.
   *
   * @throws MnemixError `store` for what failed since the last call
   */
  flush(): Promise<void>;
  /** {@link Archive.flush}, and the end of the archive. The store stays open. */
  close(): Promise<void>;
}

/** What a state shows of itself until it has been read. */
interface Snapshot {
  readonly scope: AsyncScope;
  readonly position: Tensor;
  readonly eidetic: EideticState;
  readonly windowKeys: Tensor | undefined;
}

/**
 * Opens the archive of one layer, with what the store holds of its stream already.
 *
 * @throws MnemixError `config`, naming the option; `store` where the store cannot be read
 */
export async function openArchive(options: ArchiveOptions): Promise<Archive> {
  const { store, stream, slots, window, tag, choose, capacity, onReport } = checkedOptions(options);
  const withMeanKeys = choose === 'similar';
  const archived = await ArchivedStream.open({ store, stream, tag, capacity, withMeanKeys, onReport });

  let sizes: Sizes | undefined;
  let waiting: Snapshot | undefined;
  let running: Promise<void> | undefined;
  let failure: { readonly cause: unknown } | undefined;
  let recalled: Recalled | undefined;
  let chunks: readonly number[] | undefined;
  let isClosed = false;

  function check(state: BmojoState): Sizes {
    const { position, eidetic, window: shown, recalled: back } = state;
    checkConfig(
      eidetic !== undefined && back !== undefined,
      'archive.refresh(state)',
      'its layer has no slots for what comes back.',
      `Configure the layer with eidetic: { recalled: ${slots} }.`,
    );
    checkConfig(
      choose === 'score' || shown !== undefined,
      'archive.refresh(state)',
      'its layer has no window that entries could be similar to.',
      "Use choose: 'score'.",
    );
    const found = sizes ?? sizesOf(position, eidetic);
    checkConfig(
      capacity > found.held,
      'openArchive(capacity)',
      `${capacity} entries are no more than the ${found.held} on the device: none could ever come back.`,
      'Use a larger one, or none.',
    );
    const { keys, values, positions, scores } = eidetic;
    checkState(
      'archive.refresh',
      { position, eidetic: { keys, values, positions, scores }, recalled: back },
      shapeOf(found, slots),
    );
    return found;
  }

  /** Clones, which share the state's buffers, so that the caller may free the state at any time. */
  function snapshotOf({ position, eidetic, window: shown }: BmojoState): Snapshot {
    const scope = new AsyncScope();
    const { keys, values, positions, scores } = eidetic as EideticState;
    const windowKeys = withMeanKeys ? shown?.keys : undefined;
    const seen = { position, eidetic: { keys, values, positions, scores }, windowKeys };
    return { scope, ...scope.run(() => mapTree(seen, (tensor) => tensor.clone())) };
  }

  /** Works off what waits, one snapshot at a time. */
  async function work(): Promise<void> {
    while (waiting) {
      const snapshot = waiting;
      waiting = undefined;
      try {
        await take(snapshot, sizes as Sizes);
      } catch (cause) {
        failure ??= { cause };
      } finally {
        snapshot.scope.dispose();
      }
    }
    running = undefined;
  }

  async function take({ scope, position, eidetic, windowKeys }: Snapshot, own: Sizes): Promise<void> {
    const { tokens, width, sequences } = own;
    const seen = await read(position);
    // A chunk's memory is chosen when its first token comes.
    const entered = Array.from(seen, (count) => Math.floor((count - 1) / window));
    if (chunks === undefined) archived.leaveOutFrom(seen);
    else if (chunks.every((chunk, s) => chunk === entered[s])) return;
    chunks = entered;

    const held = perSequence(await read(eidetic.positions), sequences);
    const scores = perSequence(await read(eidetic.scores), sequences);
    const queries = windowKeys && perSequence(await newestMean(scope, windowKeys), sequences);
    const wanted = held.map((positions, s) => ({
      position: seen[s] as number,
      held: new Set(positions),
      rank: queries ? bySimilarity(queries[s] as Float32Array) : byScore,
    }));
    const fits = (entry: Entry): boolean => entry.tokens === tokens && entry.width === width;
    try {
      await archived.add(await freshEntries(eidetic, held, scores, own));
    } finally {
      // What is stored comes back, even if nothing more can be stored.
      recalled = inSlots(await archived.recall(wanted, slots, fits), own, slots);
    }
  }

  /** What the slots hold and the store does not. */
  async function freshEntries(
    eidetic: EideticState,
    held: readonly Float32Array[],
    scores: readonly Float32Array[],
    { tokens, width }: Sizes,
  ): Promise<Placed[]> {
    const fresh = held.flatMap((positions, sequence) =>
      Array.from(positions, (position, slot) => {
        const score = scores[sequence]?.[slot] as number;
        return { sequence, slot, position, score };
      }).filter(({ position, score }) => position !== NOBODY && !archived.holds(sequence, position, score)),
    );
    if (fresh.length === 0) return [];
    const keys = perSequence(await read(eidetic.keys), held.length);
    const values = perSequence(await read(eidetic.values), held.length);
    const size = tokens * width;
    return fresh.map(({ sequence, slot, position, score }) => {
      const ofSlot = (all: readonly Float32Array[]): Float32Array =>
        (all[sequence] as Float32Array).subarray(slot * size, (slot + 1) * size);
      return {
        sequence,
        entry: { position, score, tokens, width, keys: ofSlot(keys), values: ofSlot(values) },
      };
    });
  }

  /** Mean key of the last `window` tokens, [S, kvH·D]. */
  function newestMean(scope: AsyncScope, keys: Tensor): Promise<Float32Array> {
    const [sequences, length, width] = keys.shape as [number, number, number];
    const count = Math.min(window, length);
    return read(
      scope.run(() => tidy(() => mean(slice(keys, [0, length - count, 0], [sequences, count, width]), 1))),
    );
  }

  function throwFailure(): void {
    if (failure === undefined) return;
    const { cause } = failure;
    failure = undefined;
    throw cause;
  }

  async function flush(): Promise<void> {
    await running;
    throwFailure();
  }

  return {
    reports: archived.reports,
    refresh(state) {
      if (isClosed) {
        throw storeError('archive.refresh', 'the archive is closed.', 'Open another one for the stream.');
      }
      sizes = check(state);
      throwFailure();
      waiting?.scope.dispose();
      waiting = snapshotOf(state);
      running ??= work();
      if (recalled === undefined) return state;
      const back = toState(recalled, state, sizes, slots);
      recalled = undefined;
      return { ...state, recalled: back };
    },
    flush,
    async close() {
      isClosed = true;
      await flush();
    },
  };
}

const read = async (tensor: Tensor): Promise<Float32Array> => (await tensor.data()) as Float32Array;
