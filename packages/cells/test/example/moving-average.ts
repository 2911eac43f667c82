// A memory that averages what it sees, at a rate that each head learns:
//   S ← γ S + (1 − γ) k vᵀ ,  o = Sᵀ q / √dk ,  γ_h = σ(rate_h)
import { diagonalDecay, rmsNorm } from '@mnemix/kernels';
import { initLinear, linear, type CellParams, type LinearParams, type MemoryCell } from '@mnemix/layers';
import {
  expandDims,
  logSigmoid,
  mul,
  ones,
  reshape,
  sigmoid,
  neg,
  tile,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
} from '@mnemix/tensor';
import { fromHeads, toHeads } from '../../src/heads.ts';
import { complete, headSizes } from '../../src/options.ts';

export interface MovingAverageConfig {
  /** Model width d. */
  readonly width: number;
  readonly heads: number;
  /** All heads' key width over d. Default 1. */
  readonly expandK?: number;
  /** All heads' value width over d. Default 1. */
  readonly expandV?: number;
  readonly normEps?: number;
}

export interface MovingAverageParams extends CellParams {
  readonly q_proj: LinearParams;
  readonly k_proj: LinearParams;
  readonly v_proj: LinearParams;
  /** [heads] */
  readonly rate: Tensor1D;
  readonly norm: { readonly weight: Tensor1D };
  readonly o_proj: LinearParams;
}

export interface MovingAverageState {
  /** S, [sequences, heads, dk, dv] */
  readonly memory: Tensor4D;
  readonly [name: string]: Tensor4D;
}

interface MovingAverageInputs {
  readonly q: Tensor3D;
  readonly k: Tensor3D;
  readonly v: Tensor3D;
  readonly logDecay: Tensor2D;
}

export function movingAverage(
  options: MovingAverageConfig,
): MemoryCell<MovingAverageParams, MovingAverageState, MovingAverageInputs> {
  const config = complete('movingAverage', options, ['width', 'heads'], {
    expandK: 1,
    expandV: 1,
    normEps: 1e-5,
  });
  const { width, heads, normEps } = config;
  const { keySize, valueSize } = headSizes('movingAverage', config);

  return {
    name: 'moving_average',
    rule: 'gated',
    config,
    width,

    // What writes: every memory of a Mixture-of-Memories has its own.
    perMemory: ['k_proj', 'v_proj'],

    init: (rng) => ({
      q_proj: initLinear(rng.fold('q_proj'), width, keySize),
      k_proj: initLinear(rng.fold('k_proj'), width, keySize),
      v_proj: initLinear(rng.fold('v_proj'), width, valueSize),
      rate: mul(ones([heads]), 3) as Tensor1D,
      norm: { weight: ones([valueSize / heads]) as Tensor1D },
      o_proj: initLinear(rng.fold('o_proj'), valueSize, width),
    }),

    stateShape: (sequences) => ({ memory: [sequences, heads, keySize / heads, valueSize / heads] }),

    project: (params, context) => {
      const { rows } = context.sequences;
      const perRow = (x: Tensor1D): Tensor2D => tile(expandDims(x, 0), [rows, 1]) as Tensor2D;
      const share = reshape(sigmoid(neg(params.rate)), [1, heads, 1]);
      return {
        q: toHeads(context.commonLinear(params.q_proj), heads),
        k: mul(toHeads(context.linear(params.k_proj), heads), share),
        v: toHeads(context.linear(params.v_proj), heads),
        // In log space, so that a rate near one keeps its digits.
        logDecay: perRow(logSigmoid(params.rate)),
      };
    },

    scan: (inputs, state, sequences, algorithm) => {
      const { o, state: memory } = diagonalDecay(
        { ...inputs, initialState: state?.memory },
        { ...algorithm, sequences },
      );
      return { o: o as Tensor3D, state: { memory: memory as Tensor4D } };
    },

    readout: ({ norm, o_proj }, o) =>
      linear(fromHeads(rmsNorm({ x: o, weight: norm.weight }, { eps: normEps }) as Tensor3D), o_proj),
  };
}
