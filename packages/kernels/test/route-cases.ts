// Random routings, what a plan has to say about them, by a plain loop over buckets, and gathering and mixing by their definitions.
import { nd, seededRandom, type NdArray } from '@mnemix/testkit';
import type { Segments } from '../src/index.ts';
import { float32, type Arrays } from './op-cases.ts';

export interface RouteCase {
  readonly name: string;
  readonly batch: number;
  readonly tokens: number;
  readonly memories: number;
  readonly chosen: number;
  /** Every token goes to one more memory besides. */
  readonly shared?: boolean;
  readonly segments?: Segments;
  /** Draws the first choice of each token; the others follow it in turn. Default: uniform. */
  readonly first?: (drawn: number) => number;
}

const ragged: Segments = [
  { row: 1, start: 2, length: 6 },
  { row: 0, start: 0, length: 3 },
  { row: 0, start: 4, length: 0 },
  { row: 0, start: 4, length: 4 },
];

export const routeCases: readonly RouteCase[] = [
  { name: 'one token', batch: 1, tokens: 1, memories: 3, chosen: 2 },
  { name: 'a dense batch', batch: 2, tokens: 9, memories: 4, chosen: 2 },
  { name: 'a single memory', batch: 2, tokens: 5, memories: 1, chosen: 1 },
  { name: 'every memory chosen', batch: 2, tokens: 5, memories: 3, chosen: 3 },
  { name: 'all tokens to one memory', batch: 3, tokens: 5, memories: 5, chosen: 1, first: () => 3 },
  { name: 'ragged documents', batch: 2, tokens: 8, memories: 4, chosen: 2, segments: ragged },
  { name: 'many memories', batch: 1, tokens: 33, memories: 17, chosen: 3 },
  { name: 'a shared memory', batch: 2, tokens: 8, memories: 4, chosen: 2, segments: ragged, shared: true },
  { name: 'one choice and a shared memory', batch: 1, tokens: 7, memories: 3, chosen: 1, shared: true },
  {
    name: 'choices out of range',
    batch: 2,
    tokens: 6,
    memories: 3,
    chosen: 1,
    first: (drawn) => [-1, 0, 3][drawn]!,
  },
];

/** Distinct memories of each token, [R·K]. */
export function choicesOf({
  batch,
  tokens,
  memories,
  chosen,
  first = (drawn) => drawn,
}: RouteCase): number[] {
  const random = seededRandom(9);
  return Array.from({ length: batch * tokens }, () => {
    const start = first(random.integer(memories));
    return Array.from({ length: chosen }, (_, j) => (j === 0 ? start : (start + j) % memories));
  }).flat();
}

/** Copies of each token. */
export const copiesOf = ({ chosen, shared = false }: RouteCase): number => chosen + Number(shared);

/** The plan as plain numbers. */
export function planOf(shape: RouteCase, given: readonly number[]) {
  const { batch, tokens } = shape;
  const chosen = copiesOf(shape);
  const memories = shape.memories + Number(shape.shared ?? false);
  const choices = Array.from({ length: batch * tokens }, (_, row) => [
    ...given.slice(row * shape.chosen, (row + 1) * shape.chosen),
    ...(shape.shared ? [memories - 1] : []),
  ]).flat();
  const segments =
    shape.segments ?? Array.from({ length: batch }, (_, row) => ({ row, start: 0, length: tokens }));
  const copies = choices.length;
  const plan = {
    source: Array<number>(copies).fill(-1),
    position: Array<number>(copies).fill(-1),
    starts: [] as number[],
    lengths: [] as number[],
    rowBucket: Array<number>(copies).fill(-1),
    groupStarts: [] as number[],
    groupLengths: [] as number[],
    rowGroup: Array<number>(copies).fill(-1),
  };
  let next = 0;
  for (let m = 0; m < memories; m++) {
    plan.groupStarts.push(next);
    for (const { row, start, length } of segments) {
      plan.starts.push(next);
      for (let token = row * tokens + start; token < row * tokens + start + length; token++) {
        for (let j = 0; j < chosen; j++) {
          if (choices[token * chosen + j] !== m) continue;
          plan.source[next] = token;
          plan.position[token * chosen + j] = next;
          plan.rowBucket[next] = plan.starts.length - 1;
          plan.rowGroup[next] = m;
          next++;
        }
      }
      plan.lengths.push(next - plan.starts.at(-1)!);
    }
    plan.groupLengths.push(next - plan.groupStarts.at(-1)!);
  }
  return plan;
}

/** Σ_j weights[r, j]·o[position[r, j]]; choices without a weight have 1. */
export const mixOracle =
  (position: readonly number[], chosen: number) =>
  ({ o, weights }: Arrays): { y: NdArray } => {
    const width = o!.shape[1]!;
    const weighted = weights!.shape[1]!;
    const y = nd([position.length / chosen, width]);
    position.forEach((place, copy) => {
      if (place < 0) return;
      const row = Math.floor(copy / chosen);
      const j = copy % chosen;
      const weight = j < weighted ? weights!.data[row * weighted + j]! : 1;
      for (let c = 0; c < width; c++) y.data[row * width + c]! += weight * o!.data[place * width + c]!;
    });
    return { y };
  };

/** y[u] = x[source[u]]. */
export const gatherOracle =
  (source: readonly number[]) =>
  ({ x }: Arrays): { y: NdArray } => {
    const width = x!.shape[1]!;
    return {
      y: nd(
        [source.length, width],
        source.flatMap((row) =>
          Array.from({ length: width }, (_, c) => (row < 0 ? 0 : x!.data[row * width + c]!)),
        ),
      ),
    };
  };

export function routeInputs(shape: RouteCase, width: number) {
  const { batch, tokens, chosen } = shape;
  const copies = batch * tokens * copiesOf(shape);
  const random = seededRandom(10);
  const rows = batch * tokens;
  return {
    x: float32(random.normals([rows, width])),
    o: float32(random.normals([copies, width])),
    weights: float32(random.uniforms([rows, chosen], 0, 1)),
    dy: float32(random.normals([rows, width])),
    dCopies: float32(random.normals([copies, width])),
  };
}
