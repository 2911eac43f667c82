// Multi-scale retention (Sun et al. 2023, "Retentive network", eq. 6–8): a constant decay for each head,
//   S ← γ_h S + k vᵀ ,  o = Sᵀ q ,  γ_h = 1 − 2^{−5−h} ,  q and k rotated by their position.
import { diagonalDecay } from '@mnemix/kernels';
import {
  initLinear,
  rotary,
  rowPositions,
  type CellParams,
  type LinearParams,
  type MemoryCell,
} from '@mnemix/layers';
import {
  add,
  cast,
  tensor2d,
  tile,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
  type TensorTree,
} from '@mnemix/tensor';
import { convolutions, type WindowState } from './convolutions.ts';
import { toHeads } from './heads.ts';
import { complete, headSizes } from './options.ts';
import { askOwnKey } from './own-key.ts';
import { queryAndGate, swishReadout, type SwishReadoutParams } from './readout.ts';

export interface RetNetConfig {
  /** Model width d. */
  readonly width: number;
  readonly heads: number;
  /** All heads' key width over d. Default 1. */
  readonly expandK?: number;
  /** All heads' value width over d. Default 2. */
  readonly expandV?: number;
  /**
   * Taps of short convolutions with silu over queries, keys and values. Default 0: none, as in fla.
   */
  readonly convolution?: number;
  /** Gate the output with silu(W_g x). Default true. */
  readonly gate?: boolean;
  readonly normEps?: number;
}

export interface RetNetParams extends CellParams, SwishReadoutParams {
  readonly q_proj: LinearParams;
  readonly k_proj: LinearParams;
  readonly v_proj: LinearParams;
}

export interface RetNetState extends WindowState<'q' | 'k' | 'v'> {
  /** S with keys as already rotated, [sequences, heads, dk, dv] */
  readonly memory: Tensor4D;
  /** Tokens seen, [sequences] */
  readonly position: Tensor1D;
  readonly [name: string]: TensorTree;
}

interface RetNetInputs extends WindowState<'q' | 'k' | 'v'> {
  readonly q: Tensor3D;
  readonly k: Tensor3D;
  readonly v: Tensor3D;
  readonly logDecay: Tensor2D;
}

export function retNet(options: RetNetConfig): MemoryCell<RetNetParams, RetNetState, RetNetInputs> {
  const config = complete('retNet', options, ['width', 'heads'], {
    expandK: 1,
    expandV: 2,
    convolution: 0,
    gate: true,
    normEps: 1e-5,
  });
  const { width, heads } = config;
  const { keySize, valueSize } = headSizes('retNet', config, 2);
  const output = swishReadout(config, valueSize);
  const short = convolutions('retNet', config.convolution, { q: keySize, k: keySize, v: valueSize });
  const decay = Array.from({ length: heads }, (_, h) => Math.log1p(-(2 ** (-5 - h))));

  return {
    name: 'retnet',
    rule: 'gated',
    config,
    width,

    perMemory: ['k_proj', 'v_proj'],

    init: (rng) => ({
      q_proj: initLinear(rng.fold('q_proj'), width, keySize),
      ...short.init(rng),
      ...output.init(rng),
      k_proj: initLinear(rng.fold('k_proj'), width, keySize),
      v_proj: initLinear(rng.fold('v_proj'), width, valueSize),
    }),

    stateShape: (sequences) => ({
      memory: [sequences, heads, keySize / heads, valueSize / heads],
      position: [sequences],
      ...short.stateShape(sequences),
    }),

    project: (params, context) => {
      const positions = rowPositions(context.sequences, context.state?.position);
      const { values, windows } = short.apply(params, context, {
        q: context.commonLinear(params.q_proj),
        ...context.linears({ k: params.k_proj, v: params.v_proj }),
      });
      return {
        q: rotary(toHeads(values.q, heads), positions),
        k: rotary(toHeads(values.k, heads), positions),
        v: toHeads(values.v, heads),
        windows,
        logDecay: tile(tensor2d([decay]), [context.sequences.rows, 1]),
      };
    },

    scan: ({ windows, ...inputs }, state, sequences, algorithm) => {
      const { o, state: memory } = diagonalDecay(
        { ...inputs, initialState: state?.memory },
        { ...algorithm, sequences },
      );
      const seen = cast(sequences.lengths, 'float32') as Tensor1D;
      return {
        o: o as Tensor3D,
        state: { memory: memory as Tensor4D, position: state ? add(state.position, seen) : seen, windows },
      };
    },

    selfRecall: askOwnKey,

    tokenLayers: queryAndGate,

    readout: output.apply,
  };
}
