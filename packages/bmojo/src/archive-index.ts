// What is known in memory about the stored entries of one sequence, and the two choices that are made by it: which to bring back,
// and which to give up.
import type { Entry } from './entry.ts';

export interface IndexedEntry {
  readonly position: number;
  readonly score: number;
  /** The mean of its keys, [kvH·D], where entries are chosen by it. */
  readonly meanKey?: Float32Array | undefined;
  /** False for what is in the store, but corrupt or stale: it is never chosen, and the first to go. */
  readonly isUsable: boolean;
}

/** The stored entries of a sequence by position. */
export type SequenceIndex = Map<number, IndexedEntry>;

export const indexed = (entry: Entry, withMeanKey: boolean): IndexedEntry => ({
  position: entry.position,
  score: entry.score,
  meanKey: withMeanKey ? meanKeyOf(entry) : undefined,
  isUsable: true,
});

function meanKeyOf({ tokens, width, keys }: Entry): Float32Array {
  const mean = new Float32Array(width);
  for (let i = 0; i < keys.length; i++) mean[i % width] = (mean[i % width] as number) + (keys[i] as number);
  return mean.map((sum) => sum / tokens);
}

/** The higher, the sooner an entry is brought back. */
export type EntryRank = (entry: IndexedEntry) => number;

export const byScore: EntryRank = ({ score }) => score;

/** The dot product with what the stream is about now, [kvH·D]. */
export const bySimilarity =
  (query: Float32Array): EntryRank =>
  ({ meanKey = [] }) => {
    let sum = 0;
    for (let i = 0; i < query.length; i++) sum += (query[i] as number) * (meanKey[i] ?? 0);
    return sum;
  };

/** The `count` highest; of equals the older. */
function highest(entries: Iterable<IndexedEntry>, rank: EntryRank, count: number): IndexedEntry[] {
  const ranked = Array.from(entries, (entry) => ({ entry, rank: rank(entry) }));
  ranked.sort((a, b) => b.rank - a.rank || a.entry.position - b.entry.position);
  return ranked.slice(0, count).map(({ entry }) => entry);
}

/**
 * The positions to bring back: at most `count` of those stored, the highest rank first.
 *
 * @param position tokens that the sequence has seen: what comes later is of another continuation
 * @param held positions on the device
 */
export function choosePositions(
  index: SequenceIndex,
  count: number,
  {
    position,
    held,
    rank,
  }: { readonly position: number; readonly held: ReadonlySet<number>; readonly rank: EntryRank },
): number[] {
  const candidates = [...index.values()].filter(
    (entry) => entry.isUsable && entry.position < position && !held.has(entry.position),
  );
  return highest(candidates, rank, count).map((entry) => entry.position);
}

/** The positions that `capacity` has no room for: unusable entries first, then the lowest scores. */
export function surplusPositions(index: SequenceIndex, capacity: number): number[] {
  if (index.size <= capacity) return [];
  const kept = highest(
    index.values(),
    ({ isUsable, score }) => (isUsable ? score : -Number.MAX_VALUE),
    capacity,
  );
  const positions = new Set(kept.map((entry) => entry.position));
  return [...index.keys()].filter((position) => !positions.has(position));
}
