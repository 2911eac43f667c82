// The stages of a scan on matrix units: operands f16, sums f32. See mixed-operands.ts.
import type { GpuDispatch, GpuPlan } from '../kernel.ts';
import { mixedHeading, mixedStateHalves, STATE_COLUMNS } from './mixed-operands.ts';
import { mixedReadsBytes, mixedReadsWgsl } from './mixed-reads-wgsl.ts';
import { mixedStatesBytes, mixedStatesWgsl } from './mixed-states-wgsl.ts';
import { read, written } from './stage.ts';
import { chunkStage, type Border, type ScanSizes } from './stages.ts';

/** Of heads, that the texts are written for. */
const WIDTHS = [64, 128];
const INVOCATIONS = 256;
/** Storage buffers of states with `passing`. */
const MOST_BUFFERS = 10;

export function isForMixed({ dk, dv }: ScanSizes, { limits, features }: GPUDevice): boolean {
  const widest = { inner: dk, outer: dv, transposed: false, toEnd: false, pairs: 'made' } as const;
  return (
    features.has('subgroups') &&
    WIDTHS.includes(dk) &&
    WIDTHS.includes(dv) &&
    limits.maxStorageBuffersPerShaderStage >= MOST_BUFFERS &&
    limits.maxComputeInvocationsPerWorkgroup >= INVOCATIONS &&
    limits.maxComputeWorkgroupStorageSize >= Math.max(mixedStatesBytes({ dk }), mixedReadsBytes(widest))
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
  readonly last: string;
  /** What X is decayed to. */
  readonly to: Border;
  readonly scale: number;
  /** The states that enter, where `states` are their gradients and `passing` is wanted. */
  readonly entering?: string | undefined;
}

/** As `states` of stages.ts. */
export const mixedStates = (
  sizes: ScanSizes,
  { x, y, initial, states, last, to, scale, entering }: States,
): GpuDispatch =>
  chunkStage(sizes, {
    name: `ScanStates mixed ${sizes.dk} ${sizes.dv}${entering ? ' with passing' : ''}`,
    heading: mixedHeading,
    parts: [() => mixedStatesWgsl({ dk: sizes.dk, dv: sizes.dv, passing: entering !== undefined })],
    bindings: {
      sequenceChunks: read('sequenceChunks', 'vec2u'),
      x: read(x, 'vec4f'),
      y: read(y, 'vec4f'),
      initial: read(initial ?? x, 'vec2f'),
      states: written(states, 'u32'),
      last: written(last, 'vec2f'),
      ...(entering && {
        entering: read(entering, 'u32'),
        passing: written('passing'),
      }),
    },
    told: { to, stateScale: scale, extra: Number(initial !== undefined) + 2 * Number(to === 'start') },
    workgroups: [sizes.dv / STATE_COLUMNS, sizes.heads, sizes.count],
  });

/** Of `mixedStates`. */
export const passingScratch = ({ chunks, heads, dk, dv }: ScanSizes): NonNullable<GpuPlan['scratch']> => ({
  passing: { shape: [chunks, heads, dv / 16, dk] },
});

interface Reads {
  readonly x: string;
  readonly states: string;
  /** Scores are made of x and y, or given, or there are none. */
  readonly pairs:
    | { readonly y: string; readonly w: string }
    | { readonly scores: string; readonly w: string }
    | undefined;
  readonly z: string;
  readonly to: Border;
  /** z is as wide as the keys. */
  readonly transposed: boolean;
  readonly stateScale: number;
  readonly scoreScale: number;
}

/** As `scores` and `reads` of stages.ts. */
export const mixedReads = (
  sizes: ScanSizes,
  { x, states, pairs, z, to, transposed, stateScale, scoreScale }: Reads,
): GpuDispatch => {
  const [inner, outer] = transposed ? [sizes.dv, sizes.dk] : [sizes.dk, sizes.dv];
  const kind = pairs === undefined ? 'none' : 'y' in pairs ? 'made' : 'given';
  const form = { inner, outer, transposed, toEnd: to === 'end', pairs: kind } as const;
  return chunkStage(sizes, {
    name: `ScanReads mixed ${inner} ${outer} ${transposed ? 'of keys' : 'of values'} to ${to}, pairs ${kind}`,
    heading: mixedHeading,
    parts: [() => mixedReadsWgsl(form)],
    bindings: {
      x: read(x, 'vec4f'),
      ...(pairs && ('y' in pairs ? { y: read(pairs.y, 'vec4f') } : { scores: read(pairs.scores, 'vec4f') })),
      ...(pairs && { w: read(pairs.w, 'vec4f') }),
      states: read(states, 'f16'),
      z: written(z),
    },
    told: { to, stateScale, scoreScale },
    workgroups: [1, sizes.heads, sizes.chunks],
  });
};
