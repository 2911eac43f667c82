// Streams of scores with many ties, and what a memory of their highest holds, by two procedures that share nothing with
// the product: a heap that takes token by token, and a stable sort of the whole prefix.
import { seededRandom } from '@mnemix/testkit';

export interface SelectCase {
  readonly name: string;
  /** S. */
  readonly streams: number;
  readonly tokens: number;
  readonly block: number;
  readonly slots: number;
  /** m0, 0 for none. */
  readonly held: number;
}

export const selectCases: readonly SelectCase[] = [
  { name: '200 streams', streams: 200, tokens: 24, block: 4, slots: 5, held: 0 },
  { name: '200 streams with a memory held', streams: 200, tokens: 24, block: 4, slots: 5, held: 5 },
  { name: 'single tokens', streams: 40, tokens: 17, block: 1, slots: 3, held: 3 },
  { name: 'one token', streams: 40, tokens: 1, block: 1, slots: 4, held: 4 },
  { name: 'one block', streams: 40, tokens: 13, block: 13, slots: 4, held: 0 },
  { name: 'one slot', streams: 40, tokens: 12, block: 3, slots: 1, held: 1 },
  { name: 'more slots than tokens', streams: 40, tokens: 6, block: 3, slots: 11, held: 2 },
  { name: 'a smaller memory than was held', streams: 40, tokens: 10, block: 5, slots: 2, held: 7 },
  { name: 'a block of many tokens', streams: 2, tokens: 1200, block: 600, slots: 9, held: 9 },
];

export interface Streams {
  /** [S][n]. */
  readonly scores: readonly (readonly number[])[];
  /** [S][m0]; absent for m0 = 0. */
  readonly held?: readonly (readonly number[])[];
}

/** Few values, so that most are equal; every 10th stream has none that may enter, every 7th no ties, some an infinity. */
export function streamsOf({ streams, tokens, held }: SelectCase): Streams {
  const random = seededRandom(31);
  const draw = (stream: number): number => {
    if (stream % 10 === 9) return -Infinity;
    if (stream % 7 === 6) return Math.fround(random.normal());
    return [-Infinity, -(2 ** 127), -2, 0, 0, 1, 1, 1.5, 2, Infinity][
      random.integer(stream % 3 === 0 ? 10 : 9)
    ]!;
  };
  const many = (length: number) =>
    Array.from({ length: streams }, (_, stream) => Array.from({ length }, () => draw(stream)));
  return { scores: many(tokens), ...(held > 0 && { held: many(held) }) };
}

export interface Slots {
  /** [S][n/block][m], −1 where a slot is empty. */
  readonly ids: number[][][];
  readonly scores: number[][][];
}

interface Entry {
  readonly id: number;
  readonly score: number;
}

const nobody: Entry = { id: -1, score: -Infinity };

const byScore = (a: Entry, b: Entry): number => b.score - a.score || a.id - b.id;

function slotsOf(
  shape: SelectCase,
  { scores, held }: Streams,
  memoryAfter: (entries: readonly Entry[]) => readonly Entry[],
): Slots {
  const ends = Array.from({ length: shape.tokens / shape.block }, (_, b) => (b + 1) * shape.block);
  const memories = scores.map((stream, s) => {
    const entries = [...(held?.[s] ?? []), ...stream].map((score, id) => ({ id, score }));
    return ends.map((end) => {
      const memory = memoryAfter(entries.slice(0, shape.held + end));
      const empty = Array.from({ length: shape.slots - memory.length }, () => nobody);
      return [...memory, ...empty];
    });
  });
  const each = (value: (entry: Entry) => number) =>
    memories.map((stream) => stream.map((memory) => memory.map(value)));
  return { ids: each(({ id }) => id), scores: each(({ score }) => score) };
}

/** The first m of the prefix when sorted, the older first among equals. */
export const byPrefix = (shape: SelectCase, streams: Streams): Slots =>
  slotsOf(shape, streams, (entries) =>
    entries
      .filter(({ score }) => score > -Infinity)
      .sort(byScore)
      .slice(0, shape.slots),
  );

/** Token by token: a full memory gives up its lowest, the newest among equals, for a token that is strictly higher. */
export const byHeap = (shape: SelectCase, streams: Streams): Slots =>
  slotsOf(shape, streams, (entries) => {
    const memory: Entry[] = [];
    for (const entry of entries) {
      if (entry.score === -Infinity) continue;
      if (memory.length < shape.slots) {
        memory.push(entry);
        continue;
      }
      const lowest = memory.reduce((low, other) => (byScore(low, other) > 0 ? low : other));
      if (entry.score > lowest.score) memory[memory.indexOf(lowest)] = entry;
    }
    return memory.sort(byScore);
  });
