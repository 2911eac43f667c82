// Gated DeltaNet (Yang, Kautz & Hatamizadeh 2024, "Gated Delta Networks", eq. 10): the cell of the MoM paper.
//   S ← e^g (I − β k kᵀ) S + β k vᵀ ,  o = Sᵀ q
// with k, q normalised, g = −e^{A_log}·softplus(W_a x + dt_bias), β = σ(W_b x), or 2σ for eigenvalues in (−1, 1).
import { deltaGates, deltaRule, l2NormPair } from '@mnemix/kernels';
import { initLinear, type CellParams, type LinearParams, type MemoryCell } from '@mnemix/layers';
import {
  checkCount,
  ones,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
  type TensorTree,
} from '@mnemix/tensor';
import { convolutions, type WindowState } from './convolutions.ts';
import { groupedSizes } from './delta-family.ts';
import { repeatHeads, toHeads } from './heads.ts';
import { checkInitialDecay, initDecay } from './initial-decay.ts';
import { memoryScan } from './memory-scan.ts';
import { complete } from './options.ts';
import { askOwnKey } from './own-key.ts';
import { queryAndGate, readout, type NormParams } from './readout.ts';

export interface GatedDeltaNetConfig {
  /** Model width d. */
  readonly width: number;
  readonly heads: number;
  /** Key width dk of a head. */
  readonly headWidth: number;
  /** Value width of a head over its key width. Default 2, as in fla. */
  readonly expandV?: number;
  /** Value heads: a multiple of `heads`, which share queries and keys. Default `heads`. */
  readonly valueHeads?: number;
  /** Taps of the short convolutions. Default 4. */
  readonly convolution?: number;
  /** Gate the output with silu(W_g x). Default true. */
  readonly gate?: boolean;
  /** β in (0, 2) instead of (0, 1), so that a memory can flip what it holds. Default false. */
  readonly negativeEigenvalues?: boolean;
  /**
   * Upper end of the uniform draw of A = e^{A_log} at the start; smaller values start with longer memories.
   * Default 16, as in Mamba and fla.
   */
  readonly initialDecay?: number;
  readonly normEps?: number;
}

export interface GatedDeltaNetParams extends CellParams {
  readonly q_proj: LinearParams;
  readonly k_proj: LinearParams;
  readonly v_proj: LinearParams;
  readonly a_proj: LinearParams;
  readonly b_proj: LinearParams;
  readonly A_log: Tensor1D;
  readonly dt_bias: Tensor1D;
  /** With the gate, [Hv·dv, d] */
  readonly g_proj?: LinearParams;
  readonly o_norm: NormParams;
  readonly o_proj: LinearParams;
}

export interface GatedDeltaNetState extends WindowState<'q' | 'k' | 'v'> {
  /** S, [sequences, value heads, dk, dv] */
  readonly memory: Tensor4D;
  readonly [name: string]: TensorTree;
}

export interface GatedDeltaNetInputs extends WindowState<'q' | 'k' | 'v'> {
  readonly q: Tensor3D;
  readonly k: Tensor3D;
  readonly v: Tensor3D;
  readonly beta: Tensor2D;
  readonly logDecay: Tensor2D;
}

/** @param heads which the value heads are as many as */
export const gatedDeltaNetDefaults = (heads: number) => ({
  expandV: 2,
  valueHeads: heads,
  convolution: 4,
  gate: true,
  negativeEigenvalues: false,
  initialDecay: 16,
  normEps: 1e-5,
});

export const gatedDeltaNet = (
  options: GatedDeltaNetConfig,
): MemoryCell<GatedDeltaNetParams, GatedDeltaNetState, GatedDeltaNetInputs> =>
  gatedDeltaNetCell(
    'gatedDeltaNet',
    complete('gatedDeltaNet', options, ['width', 'heads', 'headWidth'], gatedDeltaNetDefaults(options.heads)),
  );

/**
 * Gated DeltaNet for itself and for what is built on it.
 *
 * @param cell the function that received the options, for errors
 */
export function gatedDeltaNetCell(
  cell: string,
  config: Required<GatedDeltaNetConfig>,
): MemoryCell<GatedDeltaNetParams, GatedDeltaNetState, GatedDeltaNetInputs> {
  const { width, heads, headWidth, valueHeads, convolution, gate, negativeEigenvalues, normEps } = config;
  checkCount(`${cell}(convolution)`, convolution);
  checkInitialDecay(cell, config.initialDecay);
  const { valueWidth, keySize, valueSize, group } = groupedSizes(cell, config);
  const short = convolutions(cell, convolution, { q: keySize, k: keySize, v: valueSize });

  return {
    name: 'gated_delta_net',
    rule: 'gated_delta',
    config,
    width,

    perMemory: ['k_proj', 'v_proj', 'a_proj', 'b_proj'],

    init: (rng) => ({
      q_proj: initLinear(rng.fold('q_proj'), width, keySize),
      ...initDecay(rng, { rates: valueHeads, highest: config.initialDecay }),
      ...short.init(rng),
      ...(gate ? { g_proj: initLinear(rng.fold('g_proj'), width, valueSize) } : {}),
      o_norm: { weight: ones([valueWidth]) as Tensor1D },
      o_proj: initLinear(rng.fold('o_proj'), valueSize, width),
      k_proj: initLinear(rng.fold('k_proj'), width, keySize),
      v_proj: initLinear(rng.fold('v_proj'), width, valueSize),
      b_proj: initLinear(rng.fold('b_proj'), width, valueHeads),
      a_proj: initLinear(rng.fold('a_proj'), width, valueHeads),
    }),

    stateShape: (sequences) => ({
      memory: [sequences, valueHeads, headWidth, valueWidth],
      ...short.stateShape(sequences),
    }),

    project: (params, context) => {
      const { k, v, a, b } = context.linears({
        k: params.k_proj,
        v: params.v_proj,
        a: params.a_proj,
        b: params.b_proj,
      });
      const q = context.commonLinear(params.q_proj);
      const { values, windows } = short.apply(params, context, { q, k, v });
      const { logDecay, beta } = deltaGates(
        { a, b, aLog: params.A_log, dtBias: params.dt_bias },
        { strongest: negativeEigenvalues ? 2 : 1 },
      );
      const [queries, keys] = l2NormPair(toHeads(values.q, heads), toHeads(values.k, heads));
      return {
        q: repeatHeads(queries as Tensor3D, group),
        k: repeatHeads(keys as Tensor3D, group),
        v: toHeads(values.v, valueHeads),
        beta: beta as Tensor2D,
        logDecay: logDecay as Tensor2D,
        windows,
      };
    },

    scan: memoryScan(deltaRule),

    selfRecall: askOwnKey,

    tokenLayers: queryAndGate,

    readout: ({ o_norm, o_proj, g_proj }, o, _x, map) =>
      readout({ norm: o_norm, o_proj, g_proj }, o, map, normEps),
  };
}
