// The stages of scans whose transition is diagonal plus low rank, the delta rule among them:
//
//     v̂ = y + Sᵀ a        S ← e^g S + b v̂ᵀ + k vᵀ        o = scale · Sᵀ q
//
// in chunks. The delta rule has y = βv, a = −β·erase, writes at its key only, b; the other scans have y = 0, and v at k besides.
import type { GpuDispatch } from '../../kernel.ts';
import vectorGateGradientWgsl from '../vector-gate-gradient.wgsl';
import readsProductWgsl from '../reads-product.wgsl';
import { read, rowsOf, written, writtenRowsOf, type Stage } from '../stage.ts';
import { chunkStage, GATES, PAIRS, productStage, rowsTile, tilesOf, type Border } from '../stages.ts';
import stateDotsWgsl from '../state-dots.wgsl';
import borderWgsl from './border.wgsl';
import gateGradientWgsl from './gate-gradient.wgsl';
import metScoresWgsl from './met-scores.wgsl';
import { pairsWgsl } from './pairs-wgsl.ts';
import planesWgsl from './planes.wgsl';
import pullWgsl from './pull.wgsl';
import readsWgsl from './reads.wgsl';
import { planesOf, type LowRankKeys, type LowRankSizes } from './sizes.ts';
import vectorPairsWgsl from './vector-pairs.wgsl';

/** Kinds of readers and writers, as planes.wgsl counts them; of q at b alone, and of a at k alone, without the state. */
const ROLES = { q: 0, a: 1, b: 2, k: 3, qAtB: 4, aAtK: 5 } as const;
type Role = keyof typeof ROLES;

const present = (tensors: readonly (string | undefined)[]): string[] =>
  tensors.filter((tensor) => tensor !== undefined);

const writersOf = (sizes: LowRankSizes) => ({ writers: planesOf(sizes) / 2 });

interface Pairs {
  /** Of readers: queries, recall keys. */
  readonly x: readonly [string, string];
  /** Of writers: b, k. */
  readonly y: readonly [string, string?];
  readonly width: number;
  readonly scores: string;
}

/** See pairs-wgsl.ts. */
const pairs = (sizes: LowRankSizes, { x, y, width, scores }: Pairs): GpuDispatch[] =>
  present(y).map((tensor, writer) =>
    productStage(
      sizes,
      {
        name: 'LowRank pairs',
        parts: [planesWgsl, pairsWgsl],
        bindings: {
          x0: rowsOf(x[0], 'extra'),
          x1: rowsOf(x[1], 'extra'),
          y: rowsOf(tensor, 'extra'),
          scores: written(scores, 'vec4f'),
        },
        // Nothing is decayed, so there is one pipeline for all gates.
        constants: { gate: GATES.none, writer },
        told: { extra: width },
        workgroups: [x.length, sizes.heads, sizes.chunks],
      },
      PAIRS,
    ),
  );

/** The planes of scores; with a gate for each channel, decayed. */
export const keyScores = (sizes: LowRankSizes, { q, a, b, k }: LowRankKeys, scores: string): GpuDispatch[] =>
  sizes.gate === 'vector'
    ? present([b, k]).map((key, writer) =>
        chunkStage(sizes, {
          name: 'LowRank vector pairs',
          parts: [planesWgsl, vectorPairsWgsl],
          bindings: {
            x0: rowsOf(q, 'keyWidth'),
            x1: rowsOf(a, 'keyWidth'),
            y: rowsOf(key, 'keyWidth'),
            sumPairs: rowsOf('sums', 'extra'),
            scores: written(scores),
          },
          constants: { writer },
          told: { extra: 2 * sizes.dk },
          workgroups: [4, sizes.heads, sizes.chunks],
        }),
      )
    : pairs(sizes, { x: [q, a], y: [b, k], width: sizes.dk, scores });

interface ScoreGradients {
  readonly dO: string;
  /** Gradient of what is recalled. */
  readonly dRecalled: string;
  /** Values written at b. */
  readonly corrected: string;
  /** Values written at k. */
  readonly v: string | undefined;
  readonly dScores: string;
}

/** The gradients of all planes of scores, not decayed. */
export const scoreGradients = (
  sizes: LowRankSizes,
  { dO, dRecalled, corrected, v, dScores }: ScoreGradients,
): GpuDispatch[] => pairs(sizes, { x: [dO, dRecalled], y: [corrected, v], width: sizes.dv, scores: dScores });

interface Reads {
  /** Whose scores. */
  readonly role: Role;
  /** By way of the state, unless the role goes without it. */
  readonly byState?: { readonly x: string; readonly states: string; readonly scale: number } | undefined;
  readonly scores: string;
  /** What the scores weigh, by planes. */
  readonly y: readonly [string, string?];
  readonly z: string;
  readonly to: Border;
  /** z is as wide as the keys. */
  readonly transposed: boolean;
  /** Of queries. */
  readonly scale: number;
  /** What the dots of z's part by the state are with, for the gate's gradient. */
  readonly weight?: string | undefined;
}

/** See reads.wgsl. */
export const reads = (
  sizes: LowRankSizes,
  { role, byState, scores, y, z, to, transposed, scale, weight }: Reads,
): GpuDispatch => {
  const [inner, outer] = transposed ? ['valueWidth', 'keyWidth'] : ['keyWidth', 'valueWidth'];
  const [first, second = first] = y;
  const none = 'fn afterState(chunk: Chunk, head: u32, columnTile: u32, local: u32) {}';
  const width = transposed ? sizes.dk : sizes.dv;
  const tile = rowsTile(width);
  return productStage(
    sizes,
    {
      name: `LowRank reads of ${tile.columns} ${transposed ? 'keys' : 'values'}${weight ? ' with dots' : ''}`,
      parts: [
        borderWgsl,
        planesWgsl,
        metScoresWgsl,
        readsProductWgsl,
        readsWgsl,
        weight ? stateDotsWgsl : none,
      ],
      bindings: {
        x: rowsOf(byState?.x ?? first, inner as string),
        states: rowsOf(byState?.states ?? first, 'valueWidth'),
        scores: read(scores, 'vec4f'),
        y0: rowsOf(first, outer as string),
        y1: rowsOf(second, outer as string),
        ...(weight && { weight: rowsOf(weight, 'keyWidth'), dots: written('dots') }),
        z: writtenRowsOf(z, outer as string),
      },
      constants: { transposed: Number(transposed), ...writersOf(sizes) },
      told: {
        to,
        stateScale: byState?.scale ?? 1,
        scoreScale: scale,
        extra: ROLES[role] * tilesOf(sizes.dk),
      },
      workgroups: [Math.ceil(width / tile.columns), sizes.heads, sizes.chunks],
    },
    tile,
  );
};

interface Pull extends Pick<Reads, 'role' | 'y' | 'z' | 'to' | 'scale'> {
  readonly dScores: string;
  /** The key that z is the gradient of. */
  readonly weight: string;
}

/** See pull.wgsl. */
const pull = (sizes: LowRankSizes, { role, dScores, y, weight, z, to, scale }: Pull): GpuDispatch => {
  const [first, second = first] = y;
  return chunkStage(sizes, {
    name: 'LowRank pull',
    parts: [planesWgsl, pullWgsl],
    bindings: {
      dScores: read(dScores, 'vec4f'),
      y0: read(first),
      y1: read(second),
      weight: read(weight),
      z: written(z),
      gates: written('gates'),
    },
    constants: writersOf(sizes),
    told: { to, scoreScale: scale, extra: ROLES[role] },
    workgroups: [tilesOf(sizes.dk), sizes.heads, sizes.chunks],
  });
};

interface KeyGradients {
  readonly keys: LowRankKeys;
  readonly dO: string;
  readonly dRecalled: string;
  readonly corrected: string;
  readonly v?: string;
  readonly states: string;
  readonly dStates: string;
  readonly dScores: string;
  /** Names of the gradients. */
  readonly gradients: LowRankKeys;
  readonly scale: number;
}

/** Gradients of q, a, b and k; with gates, also what their gradient is made of: `dots` or `gates`. */
export function keyGradients(
  sizes: LowRankSizes,
  { keys, dO, dRecalled, corrected, v, states, dStates, dScores, gradients, scale }: KeyGradients,
): GpuDispatch[] {
  const { q, a, b, k } = keys;
  const gradient = (role: Role, x: string, weight: string, z: string, stateScale = 1): GpuDispatch[] => {
    const reading = role === 'q' || role === 'a';
    const common = {
      role,
      y: reading ? ([b, k] as const) : ([q, a] as const),
      z,
      to: reading ? 'start' : 'end',
      scale,
    } as const;
    const byState = reads(sizes, {
      ...common,
      byState: { x, states: reading ? states : dStates, scale: stateScale },
      scores: dScores,
      transposed: true,
      weight: sizes.gate === 'scalar' ? weight : undefined,
    });
    return sizes.gate === 'vector' ? [byState, pull(sizes, { ...common, dScores, weight })] : [byState];
  };
  return [
    // The gradient of the state holds the scale of the queries already.
    ...gradient('q', dO, q, gradients.q, scale),
    ...gradient('a', dRecalled, a, gradients.a),
    ...gradient('b', corrected, b, gradients.b),
    ...(k && v && gradients.k ? gradient('k', v, k, gradients.k) : []),
  ];
}

/** What is left to do with a chunk's rows: a text with `finishRows`, as gate-gradient.wgsl calls it. */
export interface Finish extends Pick<Stage, 'name' | 'bindings'> {
  readonly wgsl: string;
  /** Of the uniforms. */
  readonly extra: number;
}

interface GateGradient {
  readonly scores: string;
  readonly dScores: string;
  readonly states: string;
  readonly dStates: string;
  readonly dLogDecay: string;
  readonly scale: number;
  /** In the same dispatch, with one gate a token and head. */
  readonly finish?: Finish | undefined;
}

const noFinish: Finish = {
  name: '',
  wgsl: 'fn finishRows(chunk: Chunk, head: u32, local: u32) {}',
  bindings: {},
  extra: 0,
};

/** Gradient of the gates, from what the gradients of the keys have left. */
export function gateGradient(
  sizes: LowRankSizes,
  { scores, dScores, states, dStates, dLogDecay, scale, finish = noFinish }: GateGradient,
): GpuDispatch[] {
  const borders = { states: rowsOf(states, 'valueWidth'), dStates: rowsOf(dStates, 'valueWidth') };
  switch (sizes.gate) {
    case 'none':
      return [];
    case 'scalar':
      return [
        chunkStage(sizes, {
          name: `LowRank gate gradient${finish.name && ` and ${finish.name}`}`,
          parts: [planesWgsl, gateGradientWgsl, finish.wgsl],
          bindings: {
            scores: read(scores),
            dScores: read(dScores),
            ...borders,
            dots: read('dots'),
            dLogDecay: written(dLogDecay),
            ...finish.bindings,
          },
          constants: writersOf(sizes),
          told: { scoreScale: scale, extra: finish.extra },
          workgroups: [1, sizes.heads, sizes.chunks],
        }),
      ];
    case 'vector':
      return [
        // Every reader's own gate decays what is in its row of scores, so that none reads before it.
        chunkStage(
          { ...sizes, before: false },
          {
            name: 'LowRank vector gate gradient',
            parts: [vectorGateGradientWgsl],
            bindings: { gates: read('gates'), ...borders, dLogDecay: written(dLogDecay) },
            workgroups: [tilesOf(sizes.dk), sizes.heads, sizes.chunks],
          },
        ),
      ];
  }
}
