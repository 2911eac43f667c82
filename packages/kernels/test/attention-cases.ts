// Attention in sequences of all kinds, and what its definition says in float64: one query and head at a time.
import { nd, seededRandom, type NdArray } from '@mnemix/testkit';
import type { Tensor } from '@mnemix/tensor';
import { attention, batchSequences, type AttentionKeys, type Segments } from '../src/index.ts';
import { float32, toTensor, type Arrays, type OpResult, type Tensors } from './op-cases.ts';

interface TokenGroup {
  readonly nearest?: number;
  readonly farthest?: number;
  /** Which queries: 'a' if left out. */
  readonly queries?: string;
  /** R, 0 for no cache. */
  readonly cached?: number;
}

interface BlockGroup extends Omit<TokenGroup, 'cached'> {
  /** m. */
  readonly slots: number;
  /** One block for all. */
  readonly common?: boolean;
  readonly far?: number;
}

export interface AttentionCase {
  readonly name: string;
  readonly batch: number;
  readonly tokens: number;
  readonly segments?: Segments;
  /** Tokens that each sequence has seen. */
  readonly position?: readonly number[];
  readonly heads: number;
  readonly kvHeads: number;
  readonly headWidth: number;
  readonly block?: number;
  readonly groups: readonly (TokenGroup | BlockGroup)[];
}

/** Out of order, with an empty document, one of a single token, and padding between. */
const ragged: Segments = [
  { row: 1, start: 1, length: 9 },
  { row: 0, start: 0, length: 5 },
  { row: 0, start: 7, length: 0 },
  { row: 0, start: 6, length: 1 },
  { row: 1, start: 11, length: 2 },
];

const heads = { heads: 4, kvHeads: 2, headWidth: 8 };

export const attentionCases: readonly AttentionCase[] = [
  { name: 'one token', batch: 2, tokens: 1, ...heads, groups: [{}] },
  { name: 'causal', batch: 2, tokens: 11, ...heads, groups: [{}] },
  { name: 'causal, odd widths', batch: 1, tokens: 7, heads: 2, kvHeads: 1, headWidth: 130, groups: [{}] },
  { name: 'a window', batch: 2, tokens: 41, ...heads, groups: [{ farthest: 3 }] },
  { name: 'a window of one', batch: 1, tokens: 20, ...heads, groups: [{ farthest: 1 }] },
  {
    name: 'a window that begins further back',
    batch: 1,
    tokens: 40,
    ...heads,
    groups: [{ nearest: 4, farthest: 9 }],
  },
  {
    name: 'a cache',
    batch: 3,
    tokens: 6,
    position: [0, 2, 40],
    ...heads,
    groups: [{ cached: 5 }],
  },
  {
    name: 'one token and a cache, some of which is too old',
    batch: 3,
    tokens: 1,
    position: [0, 3, 9],
    ...heads,
    groups: [{ cached: 7, farthest: 5 }],
  },
  { name: 'ragged documents', batch: 2, tokens: 13, segments: ragged, ...heads, groups: [{}] },
  {
    name: 'ragged documents, a window and a cache',
    batch: 2,
    tokens: 13,
    segments: ragged,
    position: [3, 0, 5, 7, 1],
    ...heads,
    groups: [{ cached: 4, farthest: 4 }],
  },
  {
    name: 'slots of blocks beside a window',
    batch: 2,
    tokens: 12,
    block: 4,
    ...heads,
    groups: [{ farthest: 4 }, { slots: 5 }],
  },
  {
    name: 'slots alone, so that some see nobody',
    batch: 2,
    tokens: 10,
    block: 4,
    ...heads,
    groups: [{ slots: 3, nearest: 3 }],
  },
  {
    name: 'everything, continued inside of a block',
    batch: 2,
    tokens: 9,
    position: [5, 12],
    block: 4,
    ...heads,
    groups: [
      { farthest: 4, cached: 7 },
      { nearest: 4, farthest: 8, cached: 7, queries: 'b' },
      { slots: 3, nearest: 2, far: 7 },
      { slots: 2, common: true, queries: 'b', far: 5 },
    ],
  },
  {
    name: 'everything, in ragged documents',
    batch: 2,
    tokens: 13,
    segments: ragged,
    position: [3, 0, 5, 7, 1],
    block: 4,
    ...heads,
    groups: [
      { cached: 4, farthest: 4 },
      { slots: 3, far: 6 },
      { slots: 2, common: true, queries: 'b' },
    ],
  },
  {
    name: 'blocks of one token',
    batch: 2,
    tokens: 5,
    position: [0, 3],
    block: 1,
    ...heads,
    groups: [{ farthest: 3, cached: 3 }, { slots: 4 }],
  },
];

const sequencesOf = ({ batch, tokens, segments }: AttentionCase) => batchSequences(batch, tokens, segments);

const runsOf = ({ batch, tokens, segments }: AttentionCase): Segments =>
  segments ?? Array.from({ length: batch }, (_, row) => ({ row, start: 0, length: tokens }));

/** n of a group of slots. */
function blocksOf(shape: AttentionCase, common = false): number {
  const { block = 1, position } = shape;
  const longest = Math.max(...runsOf(shape).map(({ length }) => length));
  return common ? 1 : Math.ceil((longest + (position ? block - 1 : 0)) / block);
}

export interface AttentionInputs {
  /** What has a gradient. */
  readonly arrays: Arrays;
  /** Positions of slots, by group. */
  readonly positions: ReadonlyMap<number, NdArray>;
  readonly dO: NdArray;
}

export function inputsOf(shape: AttentionCase): AttentionInputs {
  const { batch, tokens, heads, kvHeads, headWidth, groups, position } = shape;
  const random = seededRandom(41);
  const draw = (...size: number[]) => float32(random.normals(size));
  const [rows, keySize, count] = [batch * tokens, kvHeads * headWidth, runsOf(shape).length];
  const arrays: Record<string, NdArray> = {};
  const positions = new Map<number, NdArray>();
  const queries = (name: string) => (arrays[name] ??= draw(rows, heads * headWidth));
  groups.forEach((group, g) => {
    queries(group.queries ?? 'a');
    if ('slots' in group) {
      const size = [count, blocksOf(shape, group.common), group.slots];
      arrays[`keys${g}`] = draw(...size, keySize);
      arrays[`values${g}`] = draw(...size, keySize);
      if (group.far !== undefined) {
        arrays[`farKeys${g}`] = draw(...size, keySize);
        queries(`${group.queries ?? 'a'} far`);
      }
      const newest = tokens + Math.max(0, ...(position ?? []));
      const at = nd(size);
      positions.set(
        g,
        nd(
          size,
          Array.from(at.data, () => random.integer(newest + 1) - 1),
        ),
      );
      return;
    }
    arrays[`keys${g}`] = draw(rows, keySize);
    arrays[`values${g}`] = draw(rows, keySize);
    if (group.cached) {
      arrays[`keysBefore${g}`] = draw(count, group.cached, keySize);
      arrays[`valuesBefore${g}`] = draw(count, group.cached, keySize);
    }
  });
  return { arrays, positions, dO: draw(rows, heads * headWidth) };
}

/** The op on the current backend. */
export function runAttention(shape: AttentionCase, { positions }: AttentionInputs, tensors: Tensors): Tensor {
  const { heads, kvHeads, block, position } = shape;
  const sequences = sequencesOf(shape);
  const at = (name: string): Tensor => tensors[name]!;
  const groups = shape.groups.map((group, g): AttentionKeys => {
    const { nearest, farthest, queries = 'a' } = group;
    const common = {
      queries: at(queries),
      keys: at(`keys${g}`),
      values: at(`values${g}`),
      ...(nearest !== undefined && { nearest }),
      ...(farthest !== undefined && { farthest }),
    };
    if ('slots' in group) {
      const far = group.far !== undefined && {
        far: { from: group.far, queries: at(`${queries} far`), keys: at(`farKeys${g}`) },
      };
      return { ...common, positions: toTensor(positions.get(g)!), ...far };
    }
    return group.cached
      ? { ...common, before: { keys: at(`keysBefore${g}`), values: at(`valuesBefore${g}`) } }
      : common;
  });
  return attention(
    { groups, position: position && toTensor(nd([position.length], [...position])) },
    { sequences, heads, kvHeads, ...(block !== undefined && { block }) },
  );
}

/** Where a vector begins in an array of the inputs. */
interface Place {
  readonly name: string;
  readonly at: number;
}

/** What a query may see: its key and value, and the queries that ask for it. */
interface Sight {
  readonly asks: string;
  readonly key: Place;
  readonly value: Place;
}

/** All that the token at row `row`, `t` of its sequence s, sees with a head of keys. */
function sightsOf(
  shape: AttentionCase,
  inputs: AttentionInputs,
  s: number,
  t: number,
  kvHead: number,
): Sight[] {
  const { tokens, kvHeads, headWidth, block = 1, position } = shape;
  const { row, start } = runsOf(shape)[s]!;
  const seen = position?.[s] ?? 0;
  const p = seen + t;
  const place = (name: string, index: number): Place => ({
    name,
    at: (index * kvHeads + kvHead) * headWidth,
  });
  return shape.groups.flatMap((group, g) => {
    const { nearest = 0, farthest = Infinity, queries = 'a' } = group;
    const isSeen = (c: number) => c >= 0 && p - c >= nearest && p - c < farthest;
    if ('slots' in group) {
      const blocks = blocksOf(shape, group.common);
      const own = blocks === 1 ? 0 : Math.floor(p / block) - Math.floor(seen / block);
      return Array.from({ length: group.slots }, (_, j) => (s * blocks + own) * group.slots + j)
        .filter((slot) => isSeen(inputs.positions.get(g)!.data[slot]!))
        .map((slot) => {
          const isFar = p - inputs.positions.get(g)!.data[slot]! >= (group.far ?? Infinity);
          return {
            asks: isFar ? `${queries} far` : queries,
            key: place(`${isFar ? 'farKeys' : 'keys'}${g}`, slot),
            value: place(`values${g}`, slot),
          };
        });
    }
    const cached = group.cached ?? 0;
    const old = Array.from({ length: cached }, (_, r) => r)
      .filter((r) => isSeen(seen - cached + r))
      .map((r) => ({
        asks: queries,
        key: place(`keysBefore${g}`, s * cached + r),
        value: place(`valuesBefore${g}`, s * cached + r),
      }));
    const own = Array.from({ length: t + 1 }, (_, i) => i)
      .filter((i) => isSeen(seen + i))
      .map((i) => ({
        asks: queries,
        key: place(`keys${g}`, row * tokens + start + i),
        value: place(`values${g}`, row * tokens + start + i),
      }));
    return [...old, ...own];
  });
}

/** o, and the gradients of ⟨o, dO⟩: with shares w_i of the values, dw_i = dO · v_i, d score_i = w_i (dw_i − Σ w dw). */
export function attentionOracle(shape: AttentionCase, inputs: AttentionInputs): OpResult {
  const { heads, kvHeads, headWidth, batch, tokens } = shape;
  const { arrays, dO } = inputs;
  const o = nd([batch * tokens, heads * headWidth]);
  const gradients = Object.fromEntries(
    Object.entries(arrays).map(([name, { shape: size }]) => [name, nd(size)]),
  );
  const dot = (a: NdArray, i: number, b: NdArray, j: number): number => {
    let sum = 0;
    for (let c = 0; c < headWidth; c++) sum += a.data[i + c]! * b.data[j + c]!;
    return sum;
  };
  const addTo = (to: NdArray, i: number, factor: number, from: NdArray, j: number): void => {
    for (let c = 0; c < headWidth; c++) to.data[i + c]! += factor * from.data[j + c]!;
  };
  const scale = headWidth ** -0.5;
  runsOf(shape).forEach(({ row, start, length }, s) => {
    for (let t = 0; t < length; t++) {
      for (let h = 0; h < heads; h++) {
        const q = ((row * tokens + start + t) * heads + h) * headWidth;
        const sights = sightsOf(shape, inputs, s, t, Math.floor(h / (heads / kvHeads)));
        const scores = sights.map(
          ({ asks, key }) => scale * dot(arrays[asks]!, q, arrays[key.name]!, key.at),
        );
        const most = Math.max(...scores);
        const powers = scores.map((score) => Math.exp(score - most));
        const total = powers.reduce((a, b) => a + b, 0);
        const shares = powers.map((power) => power / total);
        const slopes = sights.map(({ value }) => dot(dO, q, arrays[value.name]!, value.at));
        const mean = shares.reduce((sum, share, i) => sum + share * slopes[i]!, 0);
        sights.forEach(({ asks, key, value }, i) => {
          const slope = scale * shares[i]! * (slopes[i]! - mean);
          addTo(o, q, shares[i]!, arrays[value.name]!, value.at);
          addTo(gradients[value.name]!, value.at, shares[i]!, dO, q);
          addTo(gradients[asks]!, q, slope, arrays[key.name]!, key.at);
          addTo(gradients[key.name]!, key.at, slope, arrays[asks]!, q);
        });
      }
    }
  });
  return { outputs: { o }, gradients };
}
