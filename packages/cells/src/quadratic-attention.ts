// Linear attention over features of second order, which is what Based and ReBased are:
//   S ← S + φ(k) vᵀ ,  z ← z + φ(k) ,  o = Sᵀφ(q) / (φ(q)·z + ε)
// where φ maps narrow queries and keys to all products of their entries, so that φ(q)·φ(k) is a square.
import { diagonalDecay, type Sequences } from '@mnemix/kernels';
import { initLinear, linear, type CellParams, type LinearParams, type MemoryCell } from '@mnemix/layers';
import {
  add,
  checkConfig,
  checkCount,
  concat,
  div,
  greaterEqual,
  matMul,
  maximum,
  mul,
  ones,
  reshape,
  split,
  sum,
  tensor2d,
  where,
  zeros,
  zerosLike,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
  type TensorTree,
} from '@mnemix/tensor';
import { convolutions, type WindowState } from './convolutions.ts';
import { fromHeads, toHeads } from './heads.ts';
import { ratioSize } from './options.ts';

export interface QuadraticAttentionParams extends CellParams {
  readonly q_proj: LinearParams;
  readonly k_proj: LinearParams;
  readonly v_proj: LinearParams;
  readonly o_proj: LinearParams;
}

export interface QuadraticAttentionState extends WindowState<'q' | 'k' | 'v'> {
  /** S, [sequences, heads, features, dv + 1]; the last value column holds z = Σφ(k). */
  readonly memory: Tensor4D;
  readonly [name: string]: TensorTree;
}

interface QuadraticAttentionInputs extends WindowState<'q' | 'k' | 'v'> {
  readonly q: Tensor3D;
  readonly k: Tensor3D;
  readonly v: Tensor3D;
  /** κ(q, k) of each token with itself, [N, H, 1]. */
  readonly own: Tensor3D;
}

export type QuadraticAttentionCell = MemoryCell<
  QuadraticAttentionParams,
  QuadraticAttentionState,
  QuadraticAttentionInputs
>;

/** Options of both cells, complete. */
export interface QuadraticAttentionConfig {
  readonly width: number;
  readonly heads: number;
  readonly featureWidth: number;
  readonly expandV: number;
  readonly convolution: number;
  readonly eps: number;
}

export interface QuadraticMap {
  /** Width of φ. */
  readonly features: number;
  /** Parameters beside the projections, which all memories of a Mixture-of-Memories share. */
  init(): CellParams;
  /** What becomes of queries and keys in front of φ, [N, H, featureWidth]. */
  prepare(params: CellParams, x: Tensor3D): Tensor3D;
  /** φ: [N, H, featureWidth] → [N, H, features]. */
  apply(x: Tensor3D): Tensor3D;
  /** φ(q)·φ(k) by way of q·k. */
  kernel(dot: Tensor3D): Tensor3D;
}

/** Gradients divide by the normaliser's square, which must not vanish in float32. */
const LEAST_EPS = 1e-15;

/** Number of products of two of `width` entries. */
export const productCount = (width: number): number => (width * (width + 1)) / 2;

/**
 * Products of all pairs of entries [N, H, D] → [N, H, D(D+1)/2], squares first, such that those of q and of k
 * have the dot product weight·(q·k)²: √weight·x_i² and √(2·weight)·x_i·x_j.
 */
export function products(x: Tensor3D, weight: number): Tensor3D {
  const [rows, heads, width] = x.shape;
  const entries = [...Array(width).keys()];
  const pairs = entries.flatMap((i) => entries.slice(i + 1).map((j) => [i, j] as const));
  const factors = [...entries.map((i) => [i, i] as const), ...pairs];
  const select = (side: 0 | 1, coefficient: (factor: readonly [number, number]) => number): Tensor2D =>
    tensor2d(entries.map((i) => factors.map((factor) => (factor[side] === i ? coefficient(factor) : 0))));
  const flat = reshape(x, [rows * heads, width]);
  const scaled = matMul(
    flat,
    select(0, ([i, j]) => Math.sqrt(i === j ? weight : 2 * weight)),
  );
  const second = matMul(
    flat,
    select(1, () => 1),
  );
  return reshape(mul(scaled, second), [rows, heads, factors.length]) as Tensor3D;
}

/** 0 in the rows of no sequence: [N, H, 1]. */
function withinSequences(x: Tensor3D, { rowSequence, rows, isFull }: Sequences): Tensor3D {
  if (isFull) return x;
  return where(greaterEqual(reshape(rowSequence, [rows, 1, 1]), 0), x, zerosLike(x)) as Tensor3D;
}

/** @param cell the cell's function, for errors */
export function quadraticAttention(
  cell: string,
  name: string,
  config: QuadraticAttentionConfig,
  map: QuadraticMap,
): QuadraticAttentionCell {
  const { width, heads, featureWidth, eps } = config;
  checkCount(`${cell}(featureWidth)`, featureWidth);
  const keySize = heads * featureWidth;
  const valueSize = ratioSize(`${cell}(expandV)`, width, config.expandV);
  checkConfig(
    valueSize % heads === 0,
    `${cell}(heads)`,
    `${heads} heads do not divide the value width ${valueSize}.`,
    'Choose a number of heads that does.',
  );
  checkConfig(
    eps >= LEAST_EPS,
    `${cell}(eps)`,
    `it is ${eps}, and a padded row's normaliser is nothing else.`,
    `Use ${LEAST_EPS} or more.`,
  );
  const valueWidth = valueSize / heads;
  const short = convolutions(cell, config.convolution, { q: keySize, k: keySize, v: valueSize });

  return {
    name,
    rule: 'linear',
    config: { ...config },
    width,

    perMemory: ['k_proj', 'v_proj'],

    init: (rng) => ({
      q_proj: initLinear(rng.fold('q_proj'), width, keySize),
      ...map.init(),
      ...short.init(rng),
      o_proj: initLinear(rng.fold('o_proj'), valueSize, width),
      k_proj: initLinear(rng.fold('k_proj'), width, keySize),
      v_proj: initLinear(rng.fold('v_proj'), width, valueSize),
    }),

    stateShape: (sequences) => ({
      memory: [sequences, heads, map.features, valueWidth + 1],
      ...short.stateShape(sequences),
    }),

    project: (params, context) => {
      const { values, windows } = short.apply(params, context, {
        q: context.commonLinear(params.q_proj),
        ...context.linears({ k: params.k_proj, v: params.v_proj }),
      });
      const q = map.prepare(params, toHeads(values.q, heads));
      const k = map.prepare(params, toHeads(values.k, heads));
      const v = toHeads(values.v, heads);
      return {
        q: map.apply(q),
        k: map.apply(k),
        // A value column of ones makes the memory sum up its keys.
        v: concat([v, ones([v.shape[0], heads, 1])], 2) as Tensor3D,
        own: withinSequences(map.kernel(sum(mul(q, k), 2, true)), context.sequences),
        windows,
      };
    },

    scan: ({ windows, own, ...inputs }, state, sequences, algorithm) => {
      // The memory is read before the update (a bonus of 0), and the token itself added by its kernel: where
      // a sequence begins, products of features would cancel to a square near 0, by which both sums are then
      // divided.
      const { o, state: memory } = diagonalDecay(
        { ...inputs, bonus: zeros([heads, map.features]), initialState: state?.memory },
        { ...algorithm, sequences, scale: 1 },
      );
      const read = add(o, mul(inputs.v, own));
      const [numerator, sums] = split(read, [valueWidth, 1], 2) as Tensor3D[];
      // Sums of squares by way of products can round to less than nothing.
      const denominator = add(maximum(sums as Tensor3D, 0), eps);
      return {
        o: div(numerator as Tensor3D, denominator) as Tensor3D,
        state: { memory: memory as Tensor4D, windows },
      };
    },

    readout: ({ o_proj }, o) => linear(fromHeads(o), o_proj),
  };
}
