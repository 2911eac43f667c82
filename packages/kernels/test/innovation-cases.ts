// Outputs in sequences, with and without a history, and what the oracle says of them.
import { bmojoInnovation, nd, rows, seededRandom, type BmojoError, type NdArray } from '@mnemix/testkit';
import { batchSequences, innovation, type Segments } from '../src/index.ts';
import { float32, toTensor } from './op-cases.ts';

export interface InnovationCase {
  readonly name: string;
  readonly batch: number;
  readonly tokens: number;
  readonly channels: number;
  readonly taps: readonly number[];
  readonly segments?: Segments;
  /** Vectors kept of each sequence, and how many tokens each has seen. */
  readonly history?: number;
  readonly position?: readonly number[];
}

/** Out of order, with an empty document, one of a single token, and padding between. */
const ragged: Segments = [
  { row: 1, start: 1, length: 5 },
  { row: 0, start: 0, length: 2 },
  { row: 0, start: 4, length: 0 },
  { row: 0, start: 3, length: 1 },
  { row: 1, start: 6, length: 3 },
];

const halves = [0.5, 0.25, 0.125, 0.125];

export const innovationCases: readonly InnovationCase[] = [
  { name: 'one token, one channel', batch: 1, tokens: 1, channels: 1, taps: halves },
  { name: 'fewer tokens than taps', batch: 2, tokens: 3, channels: 5, taps: halves },
  { name: 'a dense batch', batch: 2, tokens: 9, channels: 6, taps: halves },
  { name: 'one tap', batch: 2, tokens: 4, channels: 3, taps: [7] },
  {
    name: 'taps that rise and do not sum to 1',
    batch: 1,
    tokens: 13,
    channels: 8,
    taps: [0.1, 2, 3, 0.4, 50],
  },
  { name: 'ragged documents', batch: 2, tokens: 9, channels: 5, taps: halves, segments: ragged },
  {
    name: 'a history as long as the taps',
    batch: 3,
    tokens: 6,
    channels: 4,
    taps: [3, 2, 1],
    history: 3,
    position: [0, 2, 40],
  },
  {
    name: 'one token with a history',
    batch: 4,
    tokens: 1,
    channels: 3,
    taps: halves,
    history: 4,
    position: [0, 1, 4, 5],
  },
  {
    name: 'ragged documents with a longer history',
    batch: 2,
    tokens: 9,
    channels: 5,
    taps: halves,
    segments: ragged,
    history: 7,
    position: [1, 3, 9, 7, 4],
  },
];

/** Slots older than the first token hold NaN: nothing may look at them. */
export function innovationInputs({ batch, tokens, channels, segments, history, position }: InnovationCase): {
  y: NdArray;
  before?: NdArray;
} {
  const random = seededRandom(21);
  const y = float32(random.normals([batch * tokens, channels]));
  if (history === undefined) return { y };
  const count = segments?.length ?? batch;
  const before = float32(random.normals([count, history, channels]));
  position?.forEach((seen, s) => {
    const first = s * history * channels;
    before.data.fill(NaN, first, first + Math.max(0, history - seen) * channels);
  });
  return { y, before };
}

/** Sequence by sequence, what came before it put in front. [N] */
export function innovationOracle(shape: InnovationCase, error: BmojoError): NdArray {
  const { batch, tokens, channels, taps, history = 0, position } = shape;
  const { y, before } = innovationInputs(shape);
  const segments =
    shape.segments ?? Array.from({ length: batch }, (_, row) => ({ row, start: 0, length: tokens }));
  const e = nd([batch * tokens]);
  segments.forEach(({ row, start, length }, s) => {
    const first = row * tokens + start;
    const seen = Math.min(position?.[s] ?? 0, history);
    const past = before
      ? before.data.subarray(((s + 1) * history - seen) * channels).slice(0, seen * channels)
      : [];
    const whole = nd([seen + length, channels], [...past, ...rows(y, first, first + length).data]);
    e.data.set(bmojoInnovation(whole, taps, error).subarray(seen), first);
  });
  return e;
}

/** The op on the current backend. */
export function runInnovation(shape: InnovationCase, error: BmojoError) {
  const { y, before } = innovationInputs(shape);
  return innovation(
    {
      y: toTensor(y),
      before: before && toTensor(before),
      position: shape.position && toTensor(nd([shape.position.length], [...shape.position])),
    },
    { sequences: batchSequences(shape.batch, shape.tokens, shape.segments), taps: shape.taps, error },
  );
}
