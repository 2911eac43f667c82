// Attention on WebGPU: a pass for each place that keys of a group lie in, one after the other on the same output.
import { gpuKernel, type PlanCall } from '../gpu/bridge.ts';
import { f32, u32, type GpuDispatch, type GpuPlan } from '../gpu/kernel.ts';
import { read, rowsOf, stage, written, writtenRowsOf, type Stage } from '../gpu/scan/stage.ts';
import { clearRows } from '../gpu/scan/clear-rows.ts';
import fewWgsl from './few.wgsl';
import forwardWgsl from './forward.wgsl';
import gradientOperandsWgsl from './gradient-operands.wgsl';
import keyGradientWgsl from './key-gradient.wgsl';
import mergeWgsl from './merge.wgsl';
import {
  isForMixed,
  mixedForward,
  mixedKeyGradient,
  mixedQueryGradient,
  packing,
  type Packing,
} from './mixed.ts';
import { blocksOf, type Attrs, type Inputs } from './op.ts';
import passWgsl from './pass.wgsl';
import queryGradientWgsl from './query-gradient.wgsl';
import sequenceTableWgsl from './sequence-table.wgsl';
import statsWgsl from './stats.wgsl';
import tileWgsl from './tile.wgsl';

/** Queries and keys of a tile. */
const TILE = 64;
/** As pass.wgsl counts them. */
const PLACES = { rows: 0, cache: 1, blocks: 2 } as const;
/** Columns of a head: more of their sums would not fit into registers, nor their slices into workgroup memory. */
const MOST_COLUMNS = 256;
/** Of workgroup memory: the slices and a tile of tile.wgsl. */
const WORKGROUP_BYTES = 32_768;
/** Storage buffers of the stage that has the most. */
const MOST_BUFFERS = 9;
/** Sequences no longer than this are read query by query. */
const FEW_TOKENS = 8;
/** Keys below which they are not split among workgroups. */
const LEAST_KEYS = 256;
/** What a large device runs at once. */
const ENOUGH_WORKGROUPS = 256;
const MAX_GROUPS = 4096;
/** Workgroups of stats.wgsl, each of which leaves a largest value. */
const PARTIALS = 512;
/** Stands for Infinity among distances. */
const ANYWHERE = 2 ** 30;

/** Queries of a group over keys that lie in one buffer. Tensors by their names among the inputs. */
interface Pass {
  readonly queries: string;
  readonly keys: string;
  readonly values: string;
  readonly place: keyof typeof PLACES;
  readonly positions: string | undefined;
  /** Of a sequence, at most, or of a block. */
  readonly size: number;
  readonly keyBlocks: number;
  /** b; 0 where all queries of a sequence see the same keys. */
  readonly block: number;
  /** Blocks of queries. */
  readonly blocks: number;
  readonly nearest: number;
  readonly farthest: number;
}

type Shapes = Readonly<Record<string, readonly number[]>>;

function passesOf(shapes: Shapes, { groups, block = 0, maxLength }: Attrs): Pass[] {
  const isContinued = shapes['position'] !== undefined;
  return groups.flatMap((group, g): Pass[] => {
    const { nearest, far } = group;
    const common = {
      queries: `queries${group.queries}`,
      nearest,
      farthest: Math.min(group.farthest, ANYWHERE),
    };
    if (group.kind === 'tokens') {
      const whole = { ...common, positions: undefined, keyBlocks: 1, block: 0, blocks: 1 };
      const rows: Pass = {
        ...whole,
        keys: `keys${g}`,
        values: `values${g}`,
        place: 'rows',
        size: maxLength,
      };
      const cached = shapes[`keysBefore${g}`]?.[1];
      if (cached === undefined) return [rows];
      const cache: Pass = {
        ...whole,
        keys: `keysBefore${g}`,
        values: `valuesBefore${g}`,
        place: 'cache',
        size: cached,
      };
      return [cache, rows];
    }
    const [, keyBlocks = 1, size = 0] = shapes[`positions${g}`] as readonly number[];
    const near: Pass = {
      ...common,
      keys: `keys${g}`,
      values: `values${g}`,
      place: 'blocks',
      positions: `positions${g}`,
      size,
      keyBlocks,
      block: keyBlocks === 1 ? 0 : block,
      blocks: keyBlocks === 1 ? 1 : blocksOf(maxLength, block, isContinued),
    };
    if (!far) return [near];
    // Far away the same slots are other keys: so they are those of two passes, each for its distances.
    return [
      { ...near, farthest: Math.min(near.farthest, far.from) },
      {
        ...near,
        queries: `queries${far.queries}`,
        keys: `farKeys${g}`,
        nearest: Math.max(near.nearest, far.from),
      },
    ];
  });
}

/** Why the device cannot do it, forward or backward. */
function obstacle({ headWidth }: Attrs, { limits }: GPUDevice): string | undefined {
  if (headWidth > MOST_COLUMNS) return `heads are wider than ${MOST_COLUMNS}`;
  if (MOST_BUFFERS > limits.maxStorageBuffersPerShaderStage)
    return 'it binds more buffers than the device allows';
  if (WORKGROUP_BYTES > limits.maxComputeWorkgroupStorageSize) return 'its tiles need more workgroup memory';
  return undefined;
}

interface PassStage {
  readonly name: string;
  readonly parts: readonly string[];
  readonly bindings: Stage['bindings'];
  readonly told?: { readonly continues?: boolean; readonly parts?: number };
  readonly workgroups: GpuDispatch['workgroups'];
  /** For tile.wgsl. */
  readonly vectors?: number;
}

/** A stage whose text follows pass.wgsl. */
const passStage = (
  attrs: Attrs,
  pass: Pass | undefined,
  { name, parts, bindings, told = {}, workgroups, vectors = 0 }: PassStage,
): GpuDispatch => {
  const { heads, kvHeads, headWidth, rows, scale } = attrs;
  return stage({
    // The name stands for the text, so it holds what differs.
    name: vectors > 0 ? `Attention ${name} ${TILE * vectors}` : `Attention ${name}`,
    parts: [...(vectors > 0 ? [`const vectors = ${vectors}u;`] : []), passWgsl, ...parts],
    bindings: {
      sequences: read('sequences', 'Sequence'),
      // Positions of keys that follow on each other are not read, but something must be bound.
      positions: read(pass?.positions ?? 'sequences'),
      ...bindings,
    },
    uniforms: [
      u32(heads),
      u32(kvHeads),
      u32(headWidth),
      u32(rows),
      u32(PLACES[pass?.place ?? 'rows']),
      u32(pass?.size ?? 0),
      u32(pass?.keyBlocks ?? 1),
      u32(pass?.block ?? 0),
      u32(pass?.nearest ?? 0),
      u32(pass?.farthest ?? ANYWHERE),
      u32(Number(told.continues ?? false)),
      u32(told.parts ?? 1),
      f32(scale),
    ],
    constants: {},
    workgroups,
    aligned: headWidth % 4 === 0,
  });
};

/** Vectors of columns that an invocation has sums of. */
const vectorsOf = ({ headWidth }: Attrs): number => Math.ceil(headWidth / TILE);

const sequenceTable = (shapes: Shapes, { count }: Attrs, isPacked: boolean): GpuDispatch => ({
  kernel: {
    name: 'Attention sequences',
    wgsl: sequenceTableWgsl,
    bindings: ['read', 'read', 'read', 'write'],
  },
  buffers: ['starts', 'lengths', shapes['position'] ? 'position' : 'starts', 'sequences'],
  uniforms: [u32(count), u32(Number(shapes['position'] !== undefined)), u32(Number(isPacked))],
  workgroups: [Math.ceil(count / 64)],
});

const sequencesOf = ({ count }: Attrs) => ({ shape: [count, 4], dtype: 'int32' }) as const;

/** Tiles of a block of queries. */
const tilesOf = ({ block }: Pass, { maxLength }: Attrs): number =>
  Math.ceil((block === 0 ? maxLength : Math.min(block, maxLength + block - 1)) / TILE);

const operands = ({ queries, keys, values }: Pass): Stage['bindings'] => ({
  q: rowsOf(queries, 'headWidth'),
  k: rowsOf(keys, 'headWidth'),
  v: rowsOf(values, 'headWidth'),
});

/** Into how many parts the keys of single queries are cut, so that few queries keep a device busy. */
const splitsOf = ({ size }: Pass, { heads, count, maxLength }: Attrs): number =>
  Math.max(
    1,
    Math.min(Math.floor(size / LEAST_KEYS), Math.ceil(ENOUGH_WORKGROUPS / (heads * count * maxLength))),
  );

const isOfFew = ({ block }: Pass, { maxLength }: Attrs): boolean => block === 1 || maxLength <= FEW_TOKENS;

const scratchOf = (parts: number, { rows, heads, headWidth }: Attrs): NonNullable<GpuPlan['scratch']> =>
  parts > 1
    ? { parts: { shape: [parts, rows, heads * headWidth] }, partLogSumExp: { shape: [parts, rows, heads] } }
    : {};

/** Reads what the queries of a pass see, beside what earlier passes have left in `o` and `logSumExp`. */
function readPass(pass: Pass, attrs: Attrs, continues: boolean): GpuDispatch[] {
  const { heads, count, maxLength, rows } = attrs;
  const result = { o: writtenRowsOf('o', 'headWidth'), logSumExp: written('logSumExp') };
  if (!isOfFew(pass, attrs)) {
    const parts = tilesOf(pass, attrs);
    return [
      passStage(attrs, pass, {
        name: 'forward',
        parts: [tileWgsl, forwardWgsl],
        vectors: vectorsOf(attrs),
        bindings: { ...operands(pass), ...result },
        told: { continues, parts },
        workgroups: [pass.blocks * parts, heads, count],
      }),
    ];
  }
  const parts = splitsOf(pass, attrs);
  const isSplit = parts > 1;
  const few = passStage(attrs, pass, {
    name: 'few queries',
    parts: [fewWgsl],
    bindings: {
      ...operands(pass),
      o: writtenRowsOf(isSplit ? 'parts' : 'o', 'headWidth'),
      logSumExp: written(isSplit ? 'partLogSumExp' : 'logSumExp'),
    },
    told: { continues: continues && !isSplit, parts },
    workgroups: [maxLength * parts, heads, count],
  });
  if (!isSplit) return [few];
  const merge = passStage(attrs, pass, {
    name: 'merge',
    parts: [mergeWgsl],
    bindings: {
      parts: rowsOf('parts', 'headWidth'),
      partLogSumExp: read('partLogSumExp'),
      ...result,
    },
    told: { continues, parts },
    workgroups: [Math.min(MAX_GROUPS, rows * heads)],
  });
  return [few, merge];
}

type Call = Omit<PlanCall<Inputs, Attrs>, 'shapes'> & { readonly shapes: Shapes };

/** Passes that go to the matrix units. */
const mixedOf = (passes: readonly Pass[], call: Call): readonly Pass[] =>
  isForMixed(call, call.device) ? passes.filter(({ place }) => place === 'rows') : [];

/** What passes on matrix units read: each tensor once. */
const packingsOf = (mixed: readonly Pass[], { heads, kvHeads }: Attrs): Packing[] => [
  ...new Map(
    mixed.flatMap(({ queries, keys, values }) => [
      [queries, { tensor: queries, heads }] as const,
      [keys, { tensor: keys, heads: kvHeads }] as const,
      [values, { tensor: values, heads: kvHeads }] as const,
    ]),
  ).values(),
];

export function forwardPlan(call: Call): GpuPlan | string {
  const { shapes, attrs, device } = call;
  const reason = obstacle(attrs, device);
  if (reason) return reason;
  const { rows, heads, headWidth } = attrs;
  const passes = passesOf(shapes, attrs);
  const mixed = mixedOf(passes, call);
  const parts = Math.max(...passes.map((pass) => (isOfFew(pass, attrs) ? splitsOf(pass, attrs) : 1)));
  const made = packing(packingsOf(mixed, attrs), call, PARTIALS);
  return {
    outputs: {
      o: { shape: [rows, heads * headWidth] },
      logSumExp: { shape: [rows, heads] },
      weights: { shape: [0] },
    },
    scratch: { sequences: sequencesOf(attrs), ...scratchOf(parts, attrs), ...made.scratch },
    dispatches: [
      sequenceTable(shapes, attrs, mixed.length > 0),
      ...made.dispatches,
      ...passes.flatMap((pass, i) =>
        mixed.includes(pass) ? [mixedForward(pass, call, i > 0)] : readPass(pass, attrs, i > 0),
      ),
      ...clearRows(attrs, { o: heads * headWidth }),
    ],
  };
}

export const forward = gpuKernel<Inputs, Attrs>((call) => forwardPlan(call as Call));

const gradientOf = (name: string): string => `d ${name}`;

/** Both gradients of a pass. */
function gradientPass(
  pass: Pass,
  attrs: Attrs,
  continues: { readonly queries: boolean; readonly values: boolean },
): GpuDispatch[] {
  const { heads, kvHeads, count } = attrs;
  const parts = tilesOf(pass, attrs);
  const before = { dO: rowsOf('dO', 'headWidth'), stats: read('stats', 'vec2f') };
  return [
    passStage(attrs, pass, {
      name: 'query gradient',
      vectors: vectorsOf(attrs),
      parts: [tileWgsl, gradientOperandsWgsl, queryGradientWgsl],
      bindings: {
        ...operands(pass),
        ...before,
        dQ: writtenRowsOf(gradientOf(pass.queries), 'headWidth'),
      },
      told: { continues: continues.queries, parts },
      workgroups: [pass.blocks * parts, heads, count],
    }),
    passStage(attrs, pass, {
      name: 'key gradient',
      vectors: vectorsOf(attrs),
      parts: [tileWgsl, gradientOperandsWgsl, keyGradientWgsl],
      bindings: {
        ...operands(pass),
        ...before,
        dK: writtenRowsOf(gradientOf(pass.keys), 'headWidth'),
        dV: writtenRowsOf(gradientOf(pass.values), 'headWidth'),
      },
      told: { continues: continues.values },
      workgroups: [pass.keyBlocks * Math.ceil(pass.size / TILE), kvHeads, count],
    }),
  ];
}

export function backwardPlan(call: Call): GpuPlan | string | undefined {
  const { shapes, attrs, device } = call;
  // The portable form has read, and kept the weights.
  if (shapes['logSumExp'] === undefined) return undefined;
  const reason = obstacle(attrs, device);
  if (reason) return reason;
  const { rows, heads } = attrs;
  const passes = passesOf(shapes, attrs);
  const mixed = mixedOf(passes, call);
  const names = Object.keys(shapes).filter((name) => /^(queries|keys|values|farKeys)/.test(name));
  const firstWith = (part: 'queries' | 'values', i: number): boolean =>
    passes.findIndex((pass) => pass[part] === passes[i]?.[part]) === i;
  const ofRows = Object.fromEntries(
    names.flatMap((name) => {
      const [, width = 0, ...rest] = shapes[name] as readonly number[];
      return rest.length === 0 ? [[gradientOf(name), width] as const] : [];
    }),
  );
  const dO: Packing[] = mixed.length > 0 ? [{ tensor: 'dO', heads, isGradient: true }] : [];
  const made = packing([...packingsOf(mixed, attrs), ...dO], call, PARTIALS);
  return {
    outputs: Object.fromEntries(
      names.map((name) => [gradientOf(name), { shape: shapes[name] as readonly number[] }]),
    ),
    scratch: {
      sequences: sequencesOf(attrs),
      stats: { shape: [rows, heads, 2] },
      largest: { shape: [PARTIALS] },
      ...made.scratch,
    },
    dispatches: [
      sequenceTable(shapes, attrs, mixed.length > 0),
      passStage(attrs, undefined, {
        name: 'stats',
        parts: [statsWgsl],
        bindings: {
          o: rowsOf('o', 'headWidth'),
          dO: rowsOf('dO', 'headWidth'),
          logSumExp: read('logSumExp'),
          stats: written('stats', 'vec2f'),
          largest: written('largest'),
        },
        workgroups: [PARTIALS],
      }),
      ...made.dispatches,
      ...passes.flatMap((pass, i) => {
        const continues = { queries: !firstWith('queries', i), values: !firstWith('values', i) };
        if (!mixed.includes(pass)) return gradientPass(pass, attrs, continues);
        return [
          mixedQueryGradient(pass, call, continues.queries, gradientOf),
          mixedKeyGradient(pass, call, continues.values, gradientOf),
        ];
      }),
      ...clearRows(attrs, ofRows),
    ],
  };
}

export const backward = gpuKernel<Inputs, Attrs>((call) => backwardPlan(call as Call));
