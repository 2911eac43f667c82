// The stages of a scan on matrix units: operands f16, sums f32. See mixed-operands.ts.
import type { GpuDispatch, GpuPlan } from '../kernel.ts';
import { subgroupsHeading } from '../matrix-units.ts';
import channelGateGradientWgsl from './channel-gate-gradient.wgsl';
import { mixedHeading, mixedStateHalves, STATE_COLUMNS } from './mixed-operands.ts';
import { mixedScoresBytes, mixedScoresWgsl } from './mixed-scores-wgsl.ts';
import { mixedReadsBytes, mixedReadsWgsl } from './mixed-reads-wgsl.ts';
import { mixedStatesBytes, mixedStatesWgsl } from './mixed-states-wgsl.ts';
import { MIXED_PULL_BYTES, mixedPullWgsl } from './mixed-pull-wgsl.ts';
import { mixedVectorBytes, mixedVectorWgsl } from './mixed-vector-wgsl.ts';
import { carry, walked, walkFlags } from './segments.ts';
import { read, written } from './stage.ts';
import { chunkStage, scoresOf, tilesOf, type Border, type ScanSizes } from './stages.ts';
import passingWgsl from './passing.wgsl';
import tokenGateGradientWgsl from './token-gate-gradient.wgsl';
import tokenGatesWgsl from './token-gates.wgsl';

/** Of heads, that the texts are written for. */
const WIDTHS = [64, 128];
const INVOCATIONS = 256;
/** Storage buffers of the stage that has the most. */
const MOST_BUFFERS = 11;

export function isForMixed({ dk, dv, gate }: ScanSizes, { limits, features }: GPUDevice): boolean {
  const widest = { inner: dk, outer: dv, transposed: false, toEnd: false, pairs: 'made' } as const;
  return (
    features.has('subgroups') &&
    WIDTHS.includes(dk) &&
    WIDTHS.includes(dv) &&
    limits.maxStorageBuffersPerShaderStage >= MOST_BUFFERS &&
    limits.maxComputeInvocationsPerWorkgroup >= INVOCATIONS &&
    limits.maxComputeWorkgroupStorageSize >=
      Math.max(
        mixedStatesBytes({ dk }),
        mixedReadsBytes(widest),
        ...(gate === 'vector' ? [MIXED_PULL_BYTES, mixedVectorBytes({ dk }), mixedScoresBytes(dv)] : []),
      )
  );
}

/** States at the chunks' borders, of `name`. */
export const mixedStatesScratch = (
  { chunks, heads, dk, dv }: ScanSizes,
  name: string,
): NonNullable<GpuPlan['scratch']> => ({
  [name]: { shape: [chunks, heads, mixedStateHalves({ dk, dv }) / 2] },
});

interface States {
  readonly x: string;
  readonly y: string;
  readonly initial: string | undefined;
  readonly states: string;
  readonly last: string | undefined;
  /** What X is decayed to. */
  readonly to: Border;
  readonly scale: number;
}

/** As `states` of stages.ts; but where sequences are cut, segments are walked once more from what enters them. */
export const mixedStates = (sizes: ScanSizes, { x, y, to, scale, ...given }: States): GpuDispatch[] => {
  const { dk, dv, heads, segments } = sizes;
  const fromLast = to === 'start';
  const walk = ({ walks, count, initial, last }: ReturnType<typeof walked>): GpuDispatch =>
    chunkStage(sizes, {
      name: `ScanStates mixed ${dk} ${dv}`,
      heading: mixedHeading,
      parts: [() => mixedStatesWgsl({ dk, dv })],
      bindings: {
        sequenceChunks: read(walks, 'vec2u'),
        x: read(x, 'vec4f'),
        y: read(y, 'vec4f'),
        initial: read(initial ?? x, 'vec2f'),
        states: written(given.states, 'u32'),
        last: written(last ?? 'unasked', 'vec2f'),
      },
      told: { to, stateScale: scale, extra: walkFlags({ initial, last, fromLast }) },
      workgroups: [dv / STATE_COLUMNS, heads, count],
    });
  const first = walked(sizes, given);
  if (!segments) return [walk(first)];
  const again = walk({ ...first, initial: 'entries', last: undefined });
  return [walk(first), ...carry(sizes, { ...given, fromLast }), again];
};

interface Reads {
  readonly x: string;
  /** None, if z has nothing by way of them. */
  readonly states: string | undefined;
  /** Scores are made of x and y, or given, or there are none. */
  readonly pairs:
    | { readonly y: string; readonly w: string }
    | { readonly scores: string; readonly w: string }
    | undefined;
  readonly z: string;
  readonly to: Border;
  /** z is as wide as the keys. */
  readonly transposed: boolean;
  readonly stateScale?: number;
  readonly scoreScale: number;
  /** Pairs of different tokens alone. */
  readonly strict?: boolean | undefined;
  /** What −w is multiplied with, by rows. */
  readonly strengths?: string | undefined;
  /** To what is in z already. */
  readonly adds?: boolean | undefined;
}

/** As `scores` and `reads` of stages.ts. */
export const mixedReads = (
  sizes: ScanSizes,
  {
    x,
    states,
    pairs,
    z,
    to,
    transposed,
    stateScale = 1,
    scoreScale,
    strict = false,
    strengths,
    adds = false,
  }: Reads,
): GpuDispatch => {
  const [inner, outer] = transposed ? [sizes.dv, sizes.dk] : [sizes.dk, sizes.dv];
  const kind = pairs === undefined ? 'none' : 'y' in pairs ? 'made' : 'given';
  const weakened = strengths !== undefined;
  const from = states !== undefined ? 'states' : adds ? 'z' : 'nothing';
  const form = {
    inner,
    outer,
    transposed,
    toEnd: to === 'end',
    pairs: kind,
    strict,
    weakened,
    from,
  } as const;
  const special = [...(strict ? ['strict'] : []), ...(weakened ? ['weakened'] : []), `from ${from}`];
  return chunkStage(sizes, {
    name: `ScanReads mixed ${inner} ${outer} ${transposed ? 'of keys' : 'of values'} to ${to}, pairs ${kind}, ${special.join(', ')}`,
    heading: mixedHeading,
    parts: [() => mixedReadsWgsl(form)],
    bindings: {
      x: read(x, 'vec4f'),
      ...(pairs && ('y' in pairs ? { y: read(pairs.y, 'vec4f') } : { scores: read(pairs.scores, 'vec4f') })),
      ...(pairs && { w: read(pairs.w, 'vec4f') }),
      ...(states !== undefined && { states: read(states, 'f16') }),
      ...(strengths !== undefined && { strengths: read(strengths) }),
      z: written(z, 'vec4f'),
    },
    told: { to, stateScale, scoreScale },
    workgroups: [1, sizes.heads, sizes.chunks],
  });
};

interface Scores {
  /** With the scores that they make. */
  readonly x: Readonly<Record<string, string>>;
  readonly y: string;
  readonly width: number;
}

/** Of x and earlier y, one or two kinds of x. See mixed-scores-wgsl.ts. */
export const mixedScores = (sizes: ScanSizes, { x, y, width }: Scores): GpuDispatch => {
  const kinds = Object.entries(x);
  const readers = kinds.length === 2 ? 2 : 1;
  return chunkStage(sizes, {
    name: `Scan mixed scores ${width}, of ${readers}`,
    heading: mixedHeading,
    parts: [() => mixedScoresWgsl({ width, readers })],
    bindings: {
      ...Object.fromEntries(kinds.map(([tensor], n) => [`x${n}`, read(tensor, 'vec4f')])),
      y: read(y, 'vec4f'),
      ...Object.fromEntries(kinds.map(([, made], n) => [`scores${n}`, written(made, 'vec4f')])),
    },
    workgroups: [1, sizes.heads, sizes.chunks],
  });
};

/**
 * Of one gate for each channel: the decayed rows `readQ` and `writtenK`, the `scores` of queries, and of `sums` those of whole
 * chunks; with `keysRead` also `readK` and `keyScores`. See mixed-vector-wgsl.ts.
 */
export const mixedVector = (
  sizes: ScanSizes,
  { keysRead = false }: { readonly keysRead?: boolean } = {},
): GpuDispatch =>
  chunkStage(sizes, {
    name: `Scan mixed vector ${sizes.dk}${keysRead ? ', keys read' : ''}`,
    heading: mixedHeading,
    parts: [() => mixedVectorWgsl({ dk: sizes.dk, keysRead })],
    bindings: {
      sums: written('sums', 'vec2f'),
      q: read('q', 'vec4f'),
      k: read('k', 'vec4f'),
      logDecay: read('logDecay', 'vec4f'),
      readQ: written('readQ', 'vec4f'),
      writtenK: written('writtenK', 'vec4f'),
      scores: written('scores'),
      ...(keysRead && { readK: written('readK', 'vec4f'), keyScores: written('keyScores') }),
    },
    workgroups: [1, sizes.heads, sizes.chunks],
  });

/** What `mixedVector` makes, but for `sums`. */
export const mixedVectorScratch = (
  sizes: ScanSizes,
  { rows, keysRead = false }: { readonly rows: readonly number[]; readonly keysRead?: boolean },
): NonNullable<GpuPlan['scratch']> => {
  const [decayed, made] = [{ shape: rows }, scoresOf(sizes)];
  return {
    readQ: decayed,
    writtenK: decayed,
    scores: made,
    ...(keysRead && { readK: decayed, keyScores: made }),
  };
};

interface Pull {
  readonly scores: string;
  readonly y: string;
  readonly z: string;
  readonly to: Border;
  readonly scale: number;
  /** Pairs of different tokens alone. */
  readonly strict?: boolean | undefined;
  /** What −y is multiplied with, by rows. */
  readonly strengths?: string | undefined;
  /** To z as it is; else it is decayed. */
  readonly adds?: boolean | undefined;
}

/** What z gets by way of scores from the tokens of the chunk, with a gate for each channel. See mixed-pull-wgsl.ts. */
export const mixedPull = (
  sizes: ScanSizes,
  { scores, y, z, to, scale, strict = false, strengths, adds = false }: Pull,
): GpuDispatch => {
  const weakened = strengths !== undefined;
  const special = [
    ...(strict ? ['strict'] : []),
    ...(weakened ? ['weakened'] : []),
    ...(adds ? ['adds'] : []),
  ];
  return chunkStage(sizes, {
    name: ['Scan mixed pull to', to, ...special].join(' '),
    heading: mixedHeading,
    parts: [() => mixedPullWgsl({ toEnd: to === 'end', strict, weakened, adds })],
    bindings: {
      scores: read(scores, 'vec4f'),
      y: read(y),
      logDecay: read('logDecay'),
      ...(strengths !== undefined && { strengths: read(strengths) }),
      z: written(z),
    },
    told: { to, scoreScale: scale },
    workgroups: [tilesOf(sizes.dk), sizes.heads, sizes.chunks],
  });
};

interface GateGradient {
  /** Of the scan. */
  readonly name: string;
  /** Text of `flowOf(row, at)`: of an element of a row, what readers are multiplied with their gradients, less what writers are. */
  readonly flow: string;
  /** Tensors of keys' rows that it reads. */
  readonly of: readonly string[];
  /** Tensors of one value a row. */
  readonly ofRows?: Readonly<Record<string, string>>;
  readonly initial: string | undefined;
}

/** Of passing.wgsl, and what is made. */
export const gateBindings = (initial: string | undefined) => ({
  states: read('states', 'u32'),
  dStates: read('dStates', 'u32'),
  initial: read(initial ?? 'states', 'vec2f'),
  dInitial: read(initial ? 'dInitialState' : 'dStates', 'vec2f'),
  dLogDecay: written('dLogDecay'),
});

/** Gradient of the gates from gradients of keys, and from the states between chunks. */
export function mixedGateGradient(
  sizes: ScanSizes,
  { name, flow, of, ofRows = {}, initial }: GateGradient,
): GpuDispatch[] {
  if (sizes.gate === 'none') return [];
  const isVector = sizes.gate === 'vector';
  const element = isVector ? 'f32' : 'vec4f';
  return [
    chunkStage(sizes, {
      name: `${name} ${isVector ? 'channel' : 'token'} gate gradient`,
      ...(!isVector && { heading: subgroupsHeading }),
      parts: [
        passingWgsl,
        ...(isVector ? [channelGateGradientWgsl] : [tokenGatesWgsl, tokenGateGradientWgsl]),
        flow.replace('ELEMENT', element),
      ],
      bindings: {
        ...Object.fromEntries(of.map((tensor) => [tensor, read(tensor, element)])),
        ...Object.fromEntries(Object.entries(ofRows).map(([as, tensor]) => [as, read(tensor)])),
        ...gateBindings(initial),
      },
      told: { extra: Number(initial !== undefined) },
      workgroups: [isVector ? tilesOf(sizes.dk) : 1, sizes.heads, sizes.chunks],
    }),
  ];
}
