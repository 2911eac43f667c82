// What a stream has in its store: its entries under its name, and an index of them in memory. Host arrays only; which tensors they
// come from and go to is the archive's business.
import { MnemixError } from '@mnemix/tensor';
import {
  choosePositions,
  indexed,
  surplusPositions,
  type EntryRank,
  type IndexedEntry,
  type SequenceIndex,
} from './archive-index.ts';
import { decodeEntry, encodeEntry, entryKey, parseEntryKey, streamPrefix, type Entry } from './entry.ts';
import { storeError, type MemoryStore } from './store.ts';

/**
 * Why an entry is left out: it is gone from the store, its bytes are not as they were written, or it belongs to other weights, another
 * layer, or a continuation of the stream that is not this one.
 */
export type ArchiveReportKind = 'missing' | 'corrupt' | 'stale';

export interface ArchiveReport {
  readonly kind: ArchiveReportKind;
  readonly key: string;
  readonly position: number;
}

interface StreamOptions {
  readonly store: MemoryStore;
  readonly stream: string;
  readonly tag: string;
  /** Entries of a sequence. */
  readonly capacity: number;
  readonly withMeanKeys: boolean;
  readonly onReport: (report: ArchiveReport) => void;
}

/** An entry and the sequence that it is of. */
export interface Placed {
  readonly sequence: number;
  readonly entry: Entry;
}

/** What to bring back to a sequence. */
export interface Wanted {
  readonly position: number;
  readonly held: ReadonlySet<number>;
  readonly rank: EntryRank;
}

/** Entries that are read at once when a stream is opened. */
const BATCH = 64;

export class ArchivedStream {
  readonly reports: Record<ArchiveReportKind, number> = { missing: 0, corrupt: 0, stale: 0 };
  private readonly options: StreamOptions;
  private readonly prefix: string;
  private readonly sequences = new Map<number, SequenceIndex>();

  private constructor(options: StreamOptions) {
    this.options = options;
    this.prefix = streamPrefix(options.stream);
  }

  /** Reads all that the store holds of the stream. */
  static async open(options: StreamOptions): Promise<ArchivedStream> {
    const opened = new ArchivedStream(options);
    let batch: { key: string; sequence: number; position: number }[] = [];
    const read = async (): Promise<void> => {
      const found = await opened.get(batch.map(({ key }) => key));
      for (const [i, { sequence, position }] of batch.entries())
        await opened.inspect(sequence, position, found[i]);
      batch = [];
    };
    for (const key of await opened.allKeys()) {
      const place = parseEntryKey(opened.prefix, key);
      if (place) batch.push({ key, ...place });
      if (batch.length === BATCH) await read();
    }
    await read();
    return opened;
  }

  /** Whether this very token is stored. A stream that was rolled back may have another at its position by now. */
  holds(sequence: number, position: number, score: number): boolean {
    const entry = this.indexOf(sequence).get(position);
    return entry !== undefined && entry.isUsable && entry.score === score;
  }

  /** Leaves out what was found in the store from `positions` on: it was stored by a run of the stream that went on differently. */
  leaveOutFrom(positions: ArrayLike<number>): void {
    for (const [sequence, index] of this.sequences) {
      for (const [position, entry] of index) {
        if (entry.isUsable && position >= (positions[sequence] ?? Infinity))
          this.leaveOut(sequence, position, 'stale');
      }
    }
  }

  /** Writes entries, all or none; then takes out what there is no room for. */
  async add(added: readonly Placed[]): Promise<void> {
    if (added.length === 0) return;
    const { store, tag, capacity, withMeanKeys } = this.options;
    const encoded = await Promise.all(
      added.map(
        async ({ sequence, entry }) =>
          [entryKey(this.prefix, sequence, entry.position), await encodeEntry(entry, tag)] as const,
      ),
    );
    await this.attempt('written to', () => store.put(encoded));
    for (const { sequence, entry } of added) {
      this.indexOf(sequence).set(entry.position, indexed(entry, withMeanKeys));
    }
    const surplus = Array.from(this.sequences, ([sequence, index]) =>
      surplusPositions(index, capacity).map((position) => ({ sequence, position })),
    ).flat();
    if (surplus.length === 0) return;
    const keys = surplus.map(({ sequence, position }) => entryKey(this.prefix, sequence, position));
    await this.attempt('written to', () => store.delete(keys));
    for (const { sequence, position } of surplus) this.indexOf(sequence).delete(position);
  }

  /**
   * Reads the chosen entries of each sequence, at most `count`, the highest rank first.
   *
   * @param fits whether an entry has the sizes of the layer
   */
  async recall(
    wanted: readonly Wanted[],
    count: number,
    fits: (entry: Entry) => boolean,
  ): Promise<Entry[][]> {
    const chosen = wanted.flatMap((choice, sequence) =>
      choosePositions(this.indexOf(sequence), count, choice).map((position) => ({ sequence, position })),
    );
    const found = await this.get(
      chosen.map(({ sequence, position }) => entryKey(this.prefix, sequence, position)),
    );
    const recalled: Entry[][] = wanted.map(() => []);
    for (const [i, { sequence, position }] of chosen.entries()) {
      const entry = await this.inspect(sequence, position, found[i]);
      if (entry === undefined) continue;
      if (fits(entry)) recalled[sequence]?.push(entry);
      else this.leaveOut(sequence, position, 'stale');
    }
    return recalled;
  }

  /** What was read under a name, entered in the index; `undefined`, with a report, for what is not to be used. */
  private async inspect(
    sequence: number,
    position: number,
    bytes: Uint8Array | undefined,
  ): Promise<Entry | undefined> {
    const { tag, withMeanKeys } = this.options;
    const entry = bytes === undefined ? 'missing' : await decodeEntry(bytes, { tag, position });
    if (typeof entry === 'string') {
      this.leaveOut(sequence, position, entry);
      return undefined;
    }
    this.indexOf(sequence).set(position, indexed(entry, withMeanKeys));
    return entry;
  }

  /** What is out is not chosen again, so that it is reported once. */
  private leaveOut(sequence: number, position: number, kind: ArchiveReportKind): void {
    const index = this.indexOf(sequence);
    const out: IndexedEntry = { position, score: -Infinity, isUsable: false };
    if (kind === 'missing') index.delete(position);
    else index.set(position, out);
    this.reports[kind]++;
    this.options.onReport({ kind, key: entryKey(this.prefix, sequence, position), position });
  }

  private indexOf(sequence: number): SequenceIndex {
    let index = this.sequences.get(sequence);
    if (index === undefined) this.sequences.set(sequence, (index = new Map()));
    return index;
  }

  private get(keys: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    return keys.length === 0
      ? Promise.resolve([])
      : this.attempt('read from', () => this.options.store.get(keys));
  }

  private allKeys(): Promise<string[]> {
    return this.attempt('read from', async () => {
      const keys: string[] = [];
      for await (const key of this.options.store.keys(this.prefix)) keys.push(key);
      return keys;
    });
  }

  private async attempt<T>(done: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      if (cause instanceof MnemixError && cause.code === 'store') throw cause;
      throw storeError(
        `archive of ${this.options.stream}`,
        `its store could not be ${done}: ${(cause as Error)?.message ?? String(cause)}.`,
        'Mend the store. What it holds stays as it is, and the archive goes on with the next chunk.',
        cause,
      );
    }
  }
}
