// The stages of scans whose transition is diagonal plus low rank, the delta rule among them:
//
//     v̂ = y + Sᵀ a        S ← e^g S + b v̂ᵀ + k vᵀ        o = scale · Sᵀ q
//
// in chunks. The delta rule has y = βv, a = −β·erase, writes at its key only, b; the other scans have y = 0, and v at k besides.
import { f32, u32, type GpuDispatch } from '../../kernel.ts';
import vectorGateGradientWgsl from '../vector-gate-gradient.wgsl';
import { read, rowsOf, stage, written, writtenRowsOf } from '../stage.ts';
import {
  chunkStage,
  GATES,
  mostChunks,
  productStage,
  tilesOf,
  type Border,
  type Gate,
  type ScanSizes,
} from '../stages.ts';
import stateDotsWgsl from '../state-dots.wgsl';
import borderWgsl from './border.wgsl';
import gateGradientWgsl from './gate-gradient.wgsl';
import metScoresWgsl from './met-scores.wgsl';
import pairsWgsl from './pairs.wgsl';
import planesWgsl from './planes.wgsl';
import pullWgsl from './pull.wgsl';
import readsWgsl from './reads.wgsl';
import recurrentWgsl from './recurrent.wgsl';
import solveWgsl from './solve.wgsl';
import statesWgsl from './states.wgsl';
import vectorPairsWgsl from './vector-pairs.wgsl';

/** Sequences that are no longer go token by token: one dispatch, which for single tokens moves the state just once. */
export const FEW_TOKENS = 8;
/** Storage buffers of the stages that have the most: in chunks, and token by token for sequences of any and of one length. */
const MOST_BUFFERS = { chunks: 10, ragged: 12, dense: 10 };
/** Of reads with dots. */
const MOST_WORKGROUP_BYTES = 20_736;
/** Rows of the state that states.wgsl has registers for. */
const MOST_KEYS = 256;
/** Columns of the state that a workgroup of states.wgsl has. */
const STATE_COLUMNS = 32;

/** `before` tells of the recall keys here: they see the state before their token's decay. */
export interface LowRankSizes extends ScanSizes {
  /** There are writes besides those at b. */
  readonly hasWrites: boolean;
}

/** Kinds of readers and writers, as planes.wgsl counts them; of q at b alone, and of a at k alone, without the state. */
const ROLES = { q: 0, a: 1, b: 2, k: 3, qAtB: 4, aAtK: 5 } as const;
type Role = keyof typeof ROLES;

const vectorsOf = (width: number): number => Math.ceil(width / 4);

/** Of a row that solve.wgsl makes, in vectors. */
const systemWidth = ({ dk, dv, hasWrites }: LowRankSizes, turned: boolean): number =>
  (turned || hasWrites ? 3 : 2) * vectorsOf(dk) + vectorsOf(dv);

interface Described {
  /** Of q and of v. */
  readonly q: readonly number[];
  readonly v: readonly number[];
  readonly logDecay: readonly number[] | undefined;
  readonly before: boolean;
  readonly hasWrites: boolean;
  readonly attrs: { readonly rows: number; readonly count: number; readonly maxLength: number };
}

/** Sizes of a scan in chunks; where the device or the stages have too little for it, the reason. */
export function lowRankSizes(
  { q, v, logDecay, before, hasWrites, attrs }: Described,
  { limits }: GPUDevice,
): LowRankSizes | string {
  const { rows, count } = attrs;
  const [, heads = 0, dk = 0] = q;
  const dv = v[2] as number;
  if (dk > MOST_KEYS) return `keys are wider than ${MOST_KEYS}`;
  if (limits.maxStorageBuffersPerShaderStage < MOST_BUFFERS.chunks)
    return `the device binds fewer than ${MOST_BUFFERS.chunks} buffers`;
  if (limits.maxComputeWorkgroupStorageSize < MOST_WORKGROUP_BYTES)
    return `the device has less than ${MOST_WORKGROUP_BYTES} bytes of workgroup memory`;
  const gate: Gate = logDecay === undefined ? 'none' : logDecay.length === 3 ? 'vector' : 'scalar';
  return { rows, count, heads, dk, dv, gate, chunks: mostChunks(attrs), before, hasWrites };
}

/** Planes of scores that a scan has. */
const planesOf = ({ hasWrites }: LowRankSizes): number => (hasWrites ? 4 : 2);

const writersOf = (sizes: LowRankSizes) => ({ writers: planesOf(sizes) / 2 });

/** Tensors between dispatches. */
export const shapesOf = (sizes: LowRankSizes) => {
  const { rows, heads, dk, dv, chunks } = sizes;
  return {
    keys: { shape: [rows, heads, dk] },
    values: { shape: [rows, heads, dv] },
    states: { shape: [chunks, heads, dk, dv] },
    planes: { shape: [planesOf(sizes), chunks, heads, 64, 64] },
    /** [W | U | X | X'] of solve.wgsl. */
    system: (turned: boolean) => ({ shape: [rows, heads, 4 * systemWidth(sizes, turned)] }),
    /** What gates get by way of the states: for q, a, b and k. */
    dots: { shape: [4, tilesOf(dk), rows, heads] },
    gates: { shape: [3, rows, heads, dk] },
  };
};

interface Pairs {
  /** Of readers: queries, recall keys. */
  readonly x: readonly [string, string];
  /** Of writers: b, k. */
  readonly y: readonly [string, string?];
  readonly of: 'keys' | 'values';
  readonly scores: string;
}

/** See pairs.wgsl. */
const pairs = (sizes: LowRankSizes, { x, y, of, scores }: Pairs): GpuDispatch[] =>
  y.flatMap((writer, at) =>
    writer === undefined
      ? []
      : x.map((reader, plane) =>
          productStage(sizes, {
            name: `LowRank pairs of ${of}`,
            parts: [planesWgsl, pairsWgsl],
            bindings: {
              x: rowsOf(reader, of === 'keys' ? 'keyWidth' : 'valueWidth'),
              y: rowsOf(writer, of === 'keys' ? 'keyWidth' : 'valueWidth'),
              scores: written(scores, 'vec4f'),
            },
            // Nothing is decayed, so there is one pipeline for all gates.
            constants: { gate: GATES.none, ofValues: Number(of === 'values') },
            told: { extra: plane + 2 * at },
            workgroups: [1, sizes.heads, sizes.chunks],
          }),
        ),
  );

/** The scan's keys by name; k is that of the writes besides those at b. */
export interface LowRankKeys {
  readonly q: string;
  readonly a: string;
  readonly b: string;
  readonly k?: string;
}

/** The planes of scores; with a gate for each channel, decayed. */
export const keyScores = (sizes: LowRankSizes, { q, a, b, k }: LowRankKeys, scores: string): GpuDispatch[] =>
  sizes.gate === 'vector'
    ? [b, ...(k === undefined ? [] : [k])].map((key, writer) =>
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
    : pairs(sizes, { x: [q, a], y: [b, k], of: 'keys', scores });

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
): GpuDispatch[] => pairs(sizes, { x: [dO, dRecalled], y: [corrected, v], of: 'values', scores: dScores });

interface Solve {
  readonly scores: string;
  /** Keys and values of the right side. */
  readonly x: string;
  readonly y: string;
  /** Keys that write, and others that do, if there are any. */
  readonly writes: string;
  readonly others: string | undefined;
  readonly system: string;
  /** For the gradient. */
  readonly turned: boolean;
  /** y are the values of the solution. */
  readonly isSolved: boolean;
  readonly scale: number;
}

/** See solve.wgsl. */
const solve = (
  sizes: LowRankSizes,
  { scores, x, y, writes, others, system, turned, isSolved, scale }: Solve,
): GpuDispatch =>
  chunkStage(sizes, {
    name: 'LowRank solve',
    parts: [borderWgsl, planesWgsl, metScoresWgsl, solveWgsl],
    bindings: {
      scores: read(scores, 'vec4f'),
      x: rowsOf(x, 'keyWidth'),
      y: rowsOf(y, 'valueWidth'),
      writes: rowsOf(writes, 'keyWidth'),
      others: rowsOf(others ?? writes, 'keyWidth'),
      system: written(system, 'vec4f'),
    },
    constants: { turned: Number(turned), isSolved: Number(isSolved) },
    told: { stateScale: scale, extra: systemWidth(sizes, turned) },
    workgroups: [1, sizes.heads, sizes.chunks],
  });

interface States {
  readonly system: string;
  /** Values of the other writes. */
  readonly y: string | undefined;
  /** [S, H, dk, dv]; zeros if left out. */
  readonly initial: string | undefined;
  /** [chunks, H, dk, dv]. */
  readonly states: string;
  /** [S, H, dk, dv]: what comes out behind the last chunk on the way. */
  readonly last: string;
  /** [rows, H, dv]; left alone where it is known. */
  readonly z: string;
  readonly turned: boolean;
  readonly isSolved: boolean;
}

/** See states.wgsl. */
const states = (
  sizes: LowRankSizes,
  { system, y, initial, states, last, z, turned, isSolved }: States,
): GpuDispatch =>
  chunkStage(sizes, {
    name: 'LowRank states',
    parts: [borderWgsl, statesWgsl],
    bindings: {
      sequenceChunks: read('sequenceChunks', 'vec2u'),
      system: read(system, 'vec4f'),
      y: rowsOf(y ?? system, 'valueWidth'),
      initial: rowsOf(initial ?? system, 'valueWidth'),
      states: writtenRowsOf(states, 'valueWidth'),
      last: writtenRowsOf(last, 'valueWidth'),
      z: writtenRowsOf(z, 'valueWidth'),
    },
    constants: { keyParts: tilesOf(sizes.dk), isSolved: Number(isSolved) },
    told: {
      to: turned ? 'start' : 'end',
      stateScale: Number(initial !== undefined),
      extra: systemWidth(sizes, turned),
    },
    workgroups: [Math.ceil(sizes.dv / STATE_COLUMNS), sizes.heads, sizes.count],
  });

interface Forward {
  readonly keys: LowRankKeys;
  /** What v̂ has besides what is recalled, or v̂ itself where it is known. */
  readonly y: string;
  /** Values written at k. */
  readonly v?: string;
  readonly isSolved: boolean;
  readonly scores: string;
  readonly system: string;
  readonly initial: string | undefined;
  readonly states: string;
  readonly last: string;
  readonly corrected: string;
}

/** The states that enter the chunks, the last ones, and v̂ unless it is known. */
export const forwardStates = (
  sizes: LowRankSizes,
  { keys, y, v, isSolved, scores, system, initial, states: borders, last, corrected }: Forward,
): GpuDispatch[] => {
  const { a, b, k } = keys;
  const common = { system, turned: false, isSolved };
  return [
    solve(sizes, { ...common, scores, x: a, y, writes: b, others: k, scale: 1 }),
    states(sizes, { ...common, y: v, initial, states: borders, last, z: corrected }),
  ];
};

interface Backward {
  readonly keys: LowRankKeys;
  /** Gradient of v̂ by way of the reads in its chunk. */
  readonly y: string;
  readonly dO: string;
  readonly scores: string;
  readonly system: string;
  readonly dState: string;
  readonly dStates: string;
  readonly dInitialState: string;
  readonly dRecalled: string;
  readonly scale: number;
}

/** The gradients of the states that leave the chunks and of the initial ones, and of the right sides of the triangular systems. */
export const backwardStates = (
  sizes: LowRankSizes,
  { keys: { q, a, b }, y, dO, scores, system, dState, dStates, dInitialState, dRecalled, scale }: Backward,
): GpuDispatch[] => {
  const common = { system, turned: true, isSolved: false };
  return [
    solve(sizes, { ...common, scores, x: b, y, writes: a, others: q, scale }),
    states(sizes, {
      ...common,
      y: dO,
      initial: dState,
      states: dStates,
      last: dInitialState,
      z: dRecalled,
    }),
  ];
};

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
  return productStage(sizes, {
    name: `LowRank reads ${transposed ? 'of keys' : 'of values'}${weight ? ' with dots' : ''}`,
    parts: [borderWgsl, planesWgsl, metScoresWgsl, readsWgsl, weight ? stateDotsWgsl : none],
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
    workgroups: [tilesOf(transposed ? sizes.dk : sizes.dv), sizes.heads, sizes.chunks],
  });
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

interface GateGradient {
  readonly scores: string;
  readonly dScores: string;
  readonly states: string;
  readonly dStates: string;
  readonly dLogDecay: string;
  readonly scale: number;
}

/** Gradient of the gates, from what the gradients of the keys have left. */
export function gateGradient(
  sizes: LowRankSizes,
  { scores, dScores, states, dStates, dLogDecay, scale }: GateGradient,
): GpuDispatch[] {
  const borders = { states: rowsOf(states, 'valueWidth'), dStates: rowsOf(dStates, 'valueWidth') };
  switch (sizes.gate) {
    case 'none':
      return [];
    case 'scalar':
      return [
        chunkStage(sizes, {
          name: 'LowRank gate gradient',
          parts: [planesWgsl, gateGradientWgsl],
          bindings: {
            scores: read(scores),
            dScores: read(dScores),
            ...borders,
            dots: read('dots'),
            dLogDecay: written(dLogDecay),
          },
          constants: writersOf(sizes),
          told: { scoreScale: scale },
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

interface Recurrent {
  readonly recall: string;
  /** β, if there is any, or b. */
  readonly write: string | undefined;
  readonly isDelta: boolean;
  readonly logDecay: string | undefined;
  readonly initial: string | undefined;
  readonly corrected: string;
  readonly attrs: {
    readonly maxLength: number;
    readonly scale: number;
    readonly uniform?: { readonly tokens: number } | undefined;
  };
}

const RAGGED = `
fn startOf(sequence: u32) -> u32 {
  return u32(starts[sequence]);
}
fn lengthOf(sequence: u32) -> u32 {
  return u32(lengths[sequence]);
}`;
const DENSE = `
fn startOf(sequence: u32) -> u32 {
  return sequence * sizes.tokens;
}
fn lengthOf(sequence: u32) -> u32 {
  return sizes.tokens;
}`;

/** See recurrent.wgsl. None for longer sequences, and where the device has too few buffers. */
export function recurrent(
  { heads, dk, dv, gate, count, before }: LowRankSizes,
  { recall, write, isDelta, logDecay, initial, corrected, attrs }: Recurrent,
  { limits }: GPUDevice,
): GpuDispatch | undefined {
  const dense = attrs.uniform;
  const buffers = dense ? MOST_BUFFERS.dense : MOST_BUFFERS.ragged;
  if (attrs.maxLength > FEW_TOKENS || buffers > limits.maxStorageBuffersPerShaderStage) return undefined;
  return stage({
    name: `LowRank recurrent ${dense ? 'dense' : 'ragged'}`,
    parts: [recurrentWgsl, dense ? DENSE : RAGGED],
    bindings: {
      q: read('q'),
      k: read('k'),
      v: read('v'),
      recall: read(recall),
      write: read(write ?? 'q'),
      logDecay: read(logDecay ?? 'q'),
      initialState: read(initial ?? 'q'),
      ...(!dense && { starts: read('starts', 'i32'), lengths: read('lengths', 'i32') }),
      o: written('o'),
      state: written('state'),
      corrected: written(corrected),
    },
    uniforms: [
      u32(heads),
      u32(dk),
      u32(dv),
      u32(GATES[gate]),
      u32(Number(initial !== undefined)),
      u32(Number(before)),
      u32(Number(isDelta)),
      u32(Number(write !== undefined)),
      u32(dense?.tokens ?? 0),
      f32(attrs.scale),
    ],
    constants: {},
    workgroups: [tilesOf(dv), heads, count],
    aligned: false,
  });
}
