// TTT-linear (Sun et al. 2024, "Learning to (Learn at Test Time): RNNs with Expressive Hidden States",
// §2.4–2.7): a linear map that is trained while it is read. With the map as it was at the mini-batch's start,
//   G_j = ∂/∂z ½‖w ⊙ LN(z) + b − (v_j − k_j)‖²  at  z = Wᵀk_j + c
//   W_i = W − η_i Σ_{j≤i} k_j G_jᵀ ,  c_i = c − η_i Σ_{j≤i} G_j ,  o' = W_iᵀ q_i + c_i
//   o = o' + w ⊙ LN(o') + b ,  η = stepSize/D · σ(W_η x + b_η)
// and the last token of a mini-batch leaves W and c to the next one.
//
// The scan's conventions are fla's, which has no such layer; the layer around it is ours, after the paper and
// its code: rotation within the mini-batch, short convolutions without activation on queries and keys as in
// its Mamba backbone (where both have one projection; here memories of a mixture have keys of their own), a
// start that is learned, and names. Norm and gate behind it are those of the other cells here. The paper's
// code differs from fla's scan: it takes the mean of a mini-batch's gradients, not their sum, gives each an η of
// its own, and reads q + w ⊙ LN(o') + b.
import { tttLinear as scanTttLinear, type TttLinearArguments } from '@mnemix/kernels';
import {
  initLinear,
  initNormal,
  rotary,
  rowPositions,
  type CellParams,
  type LinearParams,
  type MemoryCell,
  type ProjectContext,
} from '@mnemix/layers';
import {
  add,
  checkConfig,
  checkCount,
  floor,
  mul,
  ones,
  sigmoid,
  sub,
  zeros,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
  type TensorTree,
} from '@mnemix/tensor';
import { convolutions, type WindowState } from './convolutions.ts';
import { toHeads } from './heads.ts';
import { initInnerNorm, squareHeads, throughInnerNorm, type InnerNormParams } from './inner-loss.ts';
import { complete } from './options.ts';
import { queryAndGate, readout, type NormParams } from './readout.ts';

export interface TttLinearConfig {
  /** Model width d. */
  readonly width: number;
  readonly heads: number;
  /** All heads' key width over d. Default 1. */
  readonly expandK?: number;
  /** All heads' value width over d: equal to that of the keys. Default 1. */
  readonly expandV?: number;
  /**
   * Tokens whose gradients are taken at the same map: what the memory is, not how it is computed.
   * Default 16.
   */
  readonly miniBatch?: number;
  /** Largest step size, times the width D of a head. Default 1. */
  readonly stepSize?: number;
  /** Rotate queries and keys by their place in the mini-batch. Default true. */
  readonly rotary?: boolean;
  /** Taps of the short convolutions over queries and keys, 0 for none. Default 4. */
  readonly convolution?: number;
  /** Gate the output with silu(W_g x). Default true. */
  readonly gate?: boolean;
  readonly normEps?: number;
}

export interface TttLinearParams extends CellParams {
  readonly q_proj: LinearParams;
  readonly k_proj: LinearParams;
  readonly v_proj: LinearParams;
  /** W_η [heads, d] and b_η */
  readonly eta_proj: LinearParams;
  /** w and b of the inner loss. */
  readonly ttt_norm: InnerNormParams;
  /** W where a sequence starts, [heads, D, D] */
  readonly W1: Tensor3D;
  /** c where a sequence starts, [heads, D] */
  readonly b1: Tensor2D;
  /** With the gate, [H·D, d] */
  readonly g_proj?: LinearParams;
  readonly o_norm: NormParams;
  readonly o_proj: LinearParams;
}

export interface TttLinearState extends WindowState<'q' | 'k'> {
  /** The map [W; c] at the mini-batch's start, less that of the parameters: [sequences, heads, D + 1, D] */
  readonly memory: Tensor4D;
  /** Σ_j [k_j; 1] G_jᵀ over the tokens of the mini-batch, in the same shape. */
  readonly gradients: Tensor4D;
  /** Number of these tokens, [sequences] */
  readonly phase: Tensor1D;
  readonly [name: string]: TensorTree;
}

interface TttLinearInputs
  extends WindowState<'q' | 'k'>, Omit<TttLinearArguments, 'initialState' | 'normWeight' | 'normBias'> {
  readonly norm: InnerNormParams;
}

/** The TTT-linear memory, whose heads are square. @throws MnemixError `config` */
export function tttLinear(
  options: TttLinearConfig,
): MemoryCell<TttLinearParams, TttLinearState, TttLinearInputs> {
  const config = complete('tttLinear', options, ['width', 'heads'], {
    expandK: 1,
    expandV: 1,
    miniBatch: 16,
    stepSize: 1,
    rotary: true,
    convolution: 4,
    gate: true,
    normEps: 1e-5,
  });
  const { width, heads, miniBatch, stepSize, gate, normEps } = config;
  const headWidth = squareHeads('tttLinear', config);
  const size = heads * headWidth;
  checkCount('tttLinear(miniBatch)', miniBatch);
  checkConfig(
    stepSize > 0,
    'tttLinear(stepSize)',
    `with steps of ${stepSize} nothing is learned.`,
    'Use a number above 0; 1 is usual.',
  );
  checkConfig(
    !config.rotary || headWidth % 2 === 0,
    'tttLinear(rotary)',
    `rotation needs pairs of channels, and heads are ${headWidth} wide.`,
    'Make them even, or set rotary: false.',
  );
  const short = convolutions('tttLinear', config.convolution, { q: size, k: size });

  /** Place of each row in its mini-batch, [N]. */
  const places = ({ sequences, state }: ProjectContext<TttLinearState>): Tensor1D => {
    const positions = rowPositions(sequences, state?.phase);
    // Half a token more, so that no rounding of the quotient reaches a whole number.
    const passed = floor(mul(add(positions, 0.5), 1 / miniBatch));
    return sub(positions, mul(passed, miniBatch)) as Tensor1D;
  };

  return {
    name: 'ttt_linear',
    rule: 'ttt',
    config,
    width,

    perMemory: ['k_proj', 'v_proj', 'eta_proj'],

    init: (rng) => ({
      q_proj: initLinear(rng.fold('q_proj'), width, size),
      ...short.init(rng),
      ttt_norm: initInnerNorm(heads, headWidth),
      W1: rng.fold('W1').normal([heads, headWidth, headWidth], 0, 0.02) as Tensor3D,
      b1: zeros([heads, headWidth]) as Tensor2D,
      ...(gate ? { g_proj: initLinear(rng.fold('g_proj'), width, size) } : {}),
      o_norm: { weight: ones([headWidth]) as Tensor1D },
      o_proj: initLinear(rng.fold('o_proj'), size, width),
      k_proj: initLinear(rng.fold('k_proj'), width, size),
      v_proj: initLinear(rng.fold('v_proj'), width, size),
      eta_proj: { ...initNormal(rng.fold('eta_proj'), width, heads), bias: zeros([heads]) },
    }),

    stateShape: (sequences) => ({
      memory: [sequences, heads, headWidth + 1, headWidth],
      gradients: [sequences, heads, headWidth + 1, headWidth],
      phase: [sequences],
      ...short.stateShape(sequences),
    }),

    project: (params, context) => {
      const { values, windows } = short.apply(
        params,
        context,
        { q: context.commonLinear(params.q_proj), k: context.linear(params.k_proj) },
        { q: 'none', k: 'none' },
      );
      const [q, k] = [toHeads(values.q, heads), toHeads(values.k, heads)];
      const at = config.rotary ? places(context) : undefined;
      return {
        q: at ? rotary(q, at) : q,
        k: at ? rotary(k, at) : k,
        v: toHeads(context.linear(params.v_proj), heads),
        eta: mul(sigmoid(context.linear(params.eta_proj)), stepSize / headWidth),
        norm: params.ttt_norm,
        initialWeight: params.W1,
        initialBias: params.b1,
        windows,
      };
    },

    scan: ({ windows, norm, ...inputs }, state, sequences) => {
      // A query is asked as a key was learned: unscaled.
      const { o, state: next } = scanTttLinear(
        { ...inputs, normWeight: norm.weight, normBias: norm.bias, initialState: state },
        { sequences, miniBatch, scale: 1 },
      );
      return {
        o: throughInnerNorm(o as Tensor3D, norm, sequences),
        state: { ...next, windows } as TttLinearState,
      };
    },

    tokenLayers: queryAndGate,

    readout: ({ o_norm, o_proj, g_proj }, o, _x, map) =>
      readout({ norm: o_norm, o_proj, g_proj }, o, map, normEps),
  };
}
