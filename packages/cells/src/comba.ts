// Comba (Hu et al. 2025, "Comba: Improving Bilinear RNNs with Closed-loop Control"): Gated DeltaNet with feedback
// on the state and on the output,
//   S ← e^g S − β k pᵀS + β k vᵀ ,  o = Sᵀ q̃ ,  q̃ = q − D p ,  p = σ(decay) k  for each head
// with k, p, q̃ normalised, g = −e^{A_log}·softplus(W_a x + dt_bias), β = σ(W_b x), and
// y = W_o( RMSNorm(o) ⊙ σ(W_g x) ). It erases from the state before the token's decay. Normalised, p is k but for
// the norm's ε: the inner decay reaches the output through q̃. Parameters, computation and start are those of
// fla's Comba and its kernels.
import { deltaGates, deltaRule, l2Norm, type DeltaRuleArguments } from '@mnemix/kernels';
import { initLinear, type CellParams, type LinearParams, type MemoryCell } from '@mnemix/layers';
import {
  checkConfig,
  expandDims,
  fill,
  mul,
  ones,
  sigmoid,
  sub,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
  type TensorTree,
} from '@mnemix/tensor';
import type { WindowState } from './convolutions.ts';
import { groupedSizes, siluConvolutions } from './delta-family.ts';
import { repeatHeads, toHeads } from './heads.ts';
import { checkInitialDecay, initDecay } from './initial-decay.ts';
import { memoryScan } from './memory-scan.ts';
import { complete } from './options.ts';
import { askOwnKey } from './own-key.ts';
import { queryAndGate, readout, type NormParams } from './readout.ts';

export interface CombaConfig {
  /** Model width d. */
  readonly width: number;
  readonly heads: number;
  /** Key width dk of a head. */
  readonly headWidth: number;
  /** Value width of a head over its key width. Default 2. */
  readonly expandV?: number;
  /** Value heads: a multiple of `heads`, which share queries and keys. Default `heads`. */
  readonly valueHeads?: number;
  /** Taps of the short convolutions with silu; 0 leaves silu alone. Default 4. */
  readonly convolution?: number;
  /** Gate the output with σ(W_g x). Default true. */
  readonly gate?: boolean;
  /** Correct queries by D p. Default true. */
  readonly outputCorrection?: boolean;
  /** D at the start, with `outputCorrection` only. Default 1; for small models 0.02 may be better (fla). */
  readonly correction?: number;
  /** p = σ(decay) k with a parameter for each head; false: p = k. Default true. */
  readonly innerDecay?: boolean;
  /**
   * Upper end of the uniform draw of A = e^{A_log} at the start; smaller values start with longer memories.
   * Default 16, as in Mamba and fla.
   */
  readonly initialDecay?: number;
  readonly normEps?: number;
}

export interface CombaParams extends CellParams {
  readonly q_proj: LinearParams;
  readonly k_proj: LinearParams;
  readonly v_proj: LinearParams;
  readonly a_proj: LinearParams;
  readonly b_proj: LinearParams;
  /** [Hv] */
  readonly A_log: Tensor1D;
  /** [Hv] */
  readonly dt_bias: Tensor1D;
  /** With the inner decay, [H] */
  readonly decay?: Tensor1D;
  /** With the output correction, [H] */
  readonly D?: Tensor1D;
  /** With the gate, [Hv·dv, d] */
  readonly g_proj?: LinearParams;
  readonly o_norm: NormParams;
  readonly o_proj: LinearParams;
}

export interface CombaState extends WindowState<'q' | 'k' | 'v'> {
  /** S, [sequences, value heads, dk, dv] */
  readonly memory: Tensor4D;
  readonly [name: string]: TensorTree;
}

interface CombaInputs extends WindowState<'q' | 'k' | 'v'> {
  readonly q: Tensor3D;
  readonly k: Tensor3D;
  readonly v: Tensor3D;
  /** p */
  readonly erase: Tensor3D;
  readonly beta: Tensor2D;
  readonly logDecay: Tensor2D;
}

export function comba(options: CombaConfig): MemoryCell<CombaParams, CombaState, CombaInputs> {
  const config = complete('comba', options, ['width', 'heads', 'headWidth'], {
    expandV: 2,
    valueHeads: options.heads,
    convolution: 4,
    gate: true,
    outputCorrection: true,
    correction: undefined,
    innerDecay: true,
    initialDecay: 16,
    normEps: 1e-5,
  });
  const { width, heads, headWidth, valueHeads, gate, outputCorrection, innerDecay, normEps } = config;
  checkConfig(
    config.correction === undefined || outputCorrection,
    'comba(correction)',
    'queries are not corrected.',
    'Leave it out, or outputCorrection: false.',
  );
  checkInitialDecay('comba', config.initialDecay);
  const { valueWidth, keySize, valueSize, group } = groupedSizes('comba', config);
  const short = siluConvolutions('comba', config.convolution, { q: keySize, k: keySize, v: valueSize });
  const keys = (x: Tensor3D): Tensor3D => repeatHeads(l2Norm(x) as Tensor3D, group);
  const perHead = (x: Tensor3D, factor: Tensor1D): Tensor3D => mul(x, expandDims(factor, 1)) as Tensor3D;

  return {
    name: 'comba',
    rule: 'gated_delta',
    config,
    width,

    perMemory: ['k_proj', 'v_proj', 'a_proj', 'b_proj'],

    init: (rng) => ({
      q_proj: initLinear(rng.fold('q_proj'), width, keySize),
      ...initDecay(rng, { rates: valueHeads, highest: config.initialDecay }),
      ...(innerDecay ? { decay: ones([heads]) as Tensor1D } : {}),
      ...(outputCorrection ? { D: fill([heads], config.correction ?? 1) as Tensor1D } : {}),
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
      const own = context.linears({
        k: params.k_proj,
        v: params.v_proj,
        a: params.a_proj,
        b: params.b_proj,
      });
      const { values, windows } = short.apply(params, context, {
        q: context.commonLinear(params.q_proj),
        k: own.k,
        v: own.v,
      });
      const { logDecay, beta } = deltaGates({
        a: own.a,
        b: own.b,
        aLog: params.A_log,
        dtBias: params.dt_bias,
      });
      const { decay, D } = params;
      const [q, k] = [toHeads(values.q, heads), toHeads(values.k, heads)];
      const p = decay ? perHead(k, sigmoid(decay)) : k;
      return {
        q: keys(D ? sub(q, perHead(p, D)) : q),
        k: keys(k),
        v: toHeads(values.v, valueHeads),
        erase: keys(p),
        beta: beta as Tensor2D,
        logDecay: logDecay as Tensor2D,
        windows,
      };
    },

    scan: memoryScan((tensors: DeltaRuleArguments, options) =>
      deltaRule(tensors, { ...options, eraseBeforeDecay: true }),
    ),

    selfRecall: askOwnKey,

    tokenLayers: queryAndGate,

    readout: ({ o_norm, o_proj, g_proj }, o, _x, map) =>
      readout({ norm: o_norm, o_proj, g_proj }, o, map, normEps, 'sigmoid'),
  };
}
