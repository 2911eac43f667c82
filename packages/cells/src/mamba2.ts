// Mamba-2 (Dao & Gu 2024, "Transformers are SSMs", §7): a state space model with one decay a head,
//   S ← e^{dt·A} S + B (dt·x)ᵀ ,  y = Sᵀ C + D x ,  out = W_out RMSNorm(y ⊙ silu(z))
// in the terms of other memories q = C, k = B, v = dt·x and g = dt·A, with A = −e^{A_log} and dt =
// softplus(W_dt x + dt_bias). All of it comes from one projection, z | x, B, C | dt, of which x, B and C pass
// a short convolution.
import { diagonalDecay, rmsNorm, shortConv } from '@mnemix/kernels';
import {
  initConvolution,
  initLinear,
  linear,
  type CellParams,
  type LinearParams,
  type MemoryCell,
} from '@mnemix/layers';
import {
  add,
  checkConfig,
  checkCount,
  concat,
  exp,
  expandDims,
  maximum,
  minimum,
  mul,
  neg,
  ones,
  silu,
  softplus,
  split,
  zerosLike,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
  type TensorTree,
} from '@mnemix/tensor';
import { fromHeads, repeatHeads, toHeads } from './heads.ts';
import { checkInitialDecay, initDecay } from './initial-decay.ts';
import { complete, ratioSize } from './options.ts';
import type { NormParams } from './readout.ts';

export interface Mamba2Config {
  /** Model width d. */
  readonly width: number;
  readonly heads: number;
  /** Width N of the state, which is that of the keys B and queries C. Default 128. */
  readonly stateWidth?: number;
  /** All heads' value width over d. Default 2. */
  readonly expand?: number;
  /** Groups of heads that share B and C, and channels that are normalised together. Default 1. */
  readonly groups?: number;
  /** Taps of the short convolution. Default 4. */
  readonly convolution?: number;
  /** Lower limit of dt. Default 0. */
  readonly dtMin?: number;
  /** Upper limit of dt. Default none. */
  readonly dtMax?: number;
  /**
   * Upper end of the uniform draw of A = e^{A_log} at the start, from a sixteenth of it; smaller values start with longer
   * memories. Default 16, as in the paper.
   */
  readonly initialDecay?: number;
  readonly normEps?: number;
}

export interface Mamba2Params extends CellParams {
  /** [2·H·P + 2·G·N + H, d]: z, x, B, C and dt below each other. */
  readonly in_proj: LinearParams;
  /** Weight [H·P + 2·G·N, 1, taps] and bias. */
  readonly conv1d: { readonly weight: Tensor3D; readonly bias: Tensor1D };
  readonly dt_bias: Tensor1D;
  readonly A_log: Tensor1D;
  /** Weight of each head's own x in what it reads, [H]. */
  readonly D: Tensor1D;
  readonly norm: NormParams;
  readonly out_proj: LinearParams;
}

export interface Mamba2State {
  /** S, [sequences, H, N, P] */
  readonly memory: Tensor4D;
  /** The convolution's last inputs, [sequences, H·P + 2·G·N, taps] */
  readonly window: Tensor3D;
  readonly [name: string]: TensorTree;
}

export interface Mamba2Inputs {
  readonly q: Tensor3D;
  readonly k: Tensor3D;
  readonly v: Tensor3D;
  readonly logDecay: Tensor2D;
  /** D·x [N, H, P] */
  readonly skip: Tensor3D;
  readonly z: Tensor3D;
  readonly window: Tensor3D;
}

export const mamba2Defaults = {
  stateWidth: 128,
  expand: 2,
  groups: 1,
  convolution: 4,
  dtMin: 0,
  dtMax: undefined,
  initialDecay: 16,
  normEps: 1e-5,
};

type CompleteMamba2Config = Required<Omit<Mamba2Config, 'dtMax'>> & Pick<Mamba2Config, 'dtMax'>;

export const mamba2 = (options: Mamba2Config): MemoryCell<Mamba2Params, Mamba2State, Mamba2Inputs> =>
  mamba2Cell('mamba2', complete('mamba2', options, ['width', 'heads'], mamba2Defaults));

/**
 * Mamba-2 for itself and for what is built on it.
 *
 * @param cell the function that received the options, for errors
 * @param further outputs that in_proj has behind Mamba-2's own; `project` has to be given the product
 *   without them
 */
export function mamba2Cell(
  cell: string,
  config: CompleteMamba2Config,
  further = 0,
): MemoryCell<Mamba2Params, Mamba2State, Mamba2Inputs> {
  const { width, heads, stateWidth, groups, convolution, dtMin, dtMax, initialDecay, normEps } = config;
  for (const key of ['stateWidth', 'groups', 'convolution'] as const)
    checkCount(`${cell}(${key})`, config[key]);
  const valueSize = ratioSize(`${cell}(expand)`, width, config.expand);
  checkConfig(
    valueSize % heads === 0,
    `${cell}(heads)`,
    `${heads} heads do not divide the value width ${valueSize}.`,
    'Choose a number of heads that does.',
  );
  checkConfig(
    heads % groups === 0,
    `${cell}(groups)`,
    `${groups} groups cannot share ${heads} heads evenly.`,
    'Make heads a multiple of groups.',
  );
  checkConfig(
    dtMin >= 0 && dtMin < (dtMax ?? Infinity),
    `${cell}(dtMin)`,
    `dt cannot lie between ${dtMin} and ${dtMax ?? Infinity}.`,
    'Use 0 ≤ dtMin < dtMax.',
  );
  checkInitialDecay(cell, initialDecay);
  const bound = convolution ** -0.5; // PyTorch's default for the bias of a convolution
  const stateSize = groups * stateWidth;
  const channels = valueSize + 2 * stateSize;
  const perHead = (x: Tensor2D): Tensor3D => repeatHeads(toHeads(x, groups), heads / groups);
  const limited = (dt: Tensor): Tensor2D => {
    const above = dtMin > 0 ? maximum(dt, dtMin) : dt;
    return (dtMax === undefined ? above : minimum(above, dtMax)) as Tensor2D;
  };

  return {
    name: 'mamba2',
    rule: 'gated',
    config,
    width,

    perMemory: ['in_proj'],

    init: (rng) => ({
      conv1d: {
        weight: initConvolution(rng.fold('conv1d'), channels, convolution).weight,
        bias: rng.fold('conv1d.bias').uniform([channels], -bound, bound) as Tensor1D,
      },
      ...initDecay(rng, { rates: heads, lowest: initialDecay / 16, highest: initialDecay }),
      D: ones([heads]) as Tensor1D,
      norm: { weight: ones([valueSize]) as Tensor1D },
      out_proj: initLinear(rng.fold('out_proj'), valueSize, width),
      in_proj: initLinear(rng.fold('in_proj'), width, valueSize + channels + heads + further),
    }),

    stateShape: (sequences) => ({
      memory: [sequences, heads, stateWidth, valueSize / heads],
      window: [sequences, channels, convolution],
    }),

    project: ({ in_proj, conv1d, dt_bias, A_log, D }, { linear: project, sequences, state }) => {
      // The product is split, never the weight: in a Mixture-of-Memories that has a further axis.
      const [z, raw, rawDt] = split(project(in_proj), [valueSize, channels, heads], 1) as Tensor2D[];
      const { y, state: window } = shortConv(
        { x: raw as Tensor2D, weight: conv1d.weight, bias: conv1d.bias, initialState: state?.window },
        { sequences },
      );
      const [x, b, c] = split(y, [valueSize, stateSize, stateSize], 1) as Tensor2D[];
      const dt = limited(softplus(add(rawDt as Tensor2D, dt_bias)));
      const values = toHeads(x as Tensor2D, heads);
      return {
        q: perHead(c as Tensor2D),
        k: perHead(b as Tensor2D),
        v: mul(values, expandDims(dt, 2)) as Tensor3D,
        logDecay: neg(mul(dt, exp(A_log))) as Tensor2D,
        skip: mul(values, expandDims(D, 1)) as Tensor3D,
        z: toHeads(z as Tensor2D, heads),
        window: window as Tensor3D,
      };
    },

    // Skip and z are a memory's own, like what it reads: where memories are mixed, so are they.
    scan: ({ skip, z, window, ...inputs }, state, sequences, algorithm) => {
      const { o, state: memory } = diagonalDecay(
        { ...inputs, initialState: state?.memory },
        { ...algorithm, sequences, scale: 1 },
      );
      return {
        o: concat([add(o, skip), z], 2) as Tensor3D,
        state: { memory: memory as Tensor4D, window },
      };
    },

    // The skip is the token's own value, not what the memory holds.
    selfRecall: ({ k, v, skip }) => ({ asked: { q: k, skip: zerosLike(skip) }, expected: v }),

    readout: ({ norm, out_proj }, o) => {
      const [y, z] = split(o, 2, 2) as Tensor3D[];
      const gated = fromHeads(mul(y as Tensor3D, silu(z as Tensor3D)));
      const normed = rmsNorm({ x: toHeads(gated, groups) }, { eps: normEps }) as Tensor3D;
      return linear(mul(fromHeads(normed), norm.weight) as Tensor2D, out_proj);
    },
  };
}
