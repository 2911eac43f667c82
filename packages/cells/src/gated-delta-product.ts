// Gated DeltaProduct (Siems et al. 2025, "DeltaProduct: Improving State-Tracking in Linear RNNs via Householder
// Products"): Gated DeltaNet that takes n steps of the delta rule for each token, each with a key, a value and a β
// of its own,
//   S ← e^g S ;  S ← (I − β_j k_j k_jᵀ) S + β_j k_j v_jᵀ  for j = 1 … n ;  o = Sᵀ q
// with k, q normalised, g = −e^{A_log}·softplus(W_a x + dt_bias), β = 2σ(W_b x), or σ. It is the delta rule along
// a sequence n times as long, decayed at a token's first step and read at its last. Parameters and start are those
// of fla's GatedDeltaProduct.
import { deltaRule, l2Norm, logDecayGate, repeatedSequences } from '@mnemix/kernels';
import {
  initLinear,
  type CellParams,
  type LinearParams,
  type MemoryCell,
  type ProjectContext,
} from '@mnemix/layers';
import {
  checkConfig,
  checkCount,
  mul,
  ones,
  pad,
  reshape,
  sigmoid,
  slice,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
  type TensorTree,
} from '@mnemix/tensor';
import type { WindowState } from './convolutions.ts';
import { groupedSizes, siluConvolutions } from './delta-family.ts';
import { fromHeads, repeatHeads, toHeads } from './heads.ts';
import { checkInitialDecay, initDecay } from './initial-decay.ts';
import { complete } from './options.ts';
import { queryAndGate, readout, type NormParams } from './readout.ts';

export interface GatedDeltaProductConfig {
  /** Model width d. */
  readonly width: number;
  readonly heads: number;
  /** Key width dk of a head. */
  readonly headWidth: number;
  /** Steps n of the delta rule for each token. Default 2. */
  readonly householders?: number;
  /** Value width of a head over its key width. Default 2. */
  readonly expandV?: number;
  /** Value heads: a multiple of `heads`, which share queries and keys. Default `heads`. */
  readonly valueHeads?: number;
  /** Taps of the short convolutions with silu; 0 leaves silu alone. Default 4. */
  readonly convolution?: number;
  /** Gate the output with silu(W_g x). Default true. */
  readonly gate?: boolean;
  /** Forget by e^g; false: g = 0. Default true. */
  readonly forgetGate?: boolean;
  /** β in (0, 2) instead of (0, 1), so that a step can reflect what the memory holds. Default true. */
  readonly negativeEigenvalues?: boolean;
  /**
   * Upper end of the uniform draw of A = e^{A_log} at the start, with `forgetGate` only; smaller values start with
   * longer memories. Default 16, as in Mamba and fla.
   */
  readonly initialDecay?: number;
  readonly normEps?: number;
}

export interface GatedDeltaProductParams extends CellParams {
  readonly q_proj: LinearParams;
  /** [n·H·dk, d], one step's keys below the other's; v_proj and b_proj likewise */
  readonly k_proj: LinearParams;
  /** [n·Hv·dv, d] */
  readonly v_proj: LinearParams;
  /** [n·Hv, d] */
  readonly b_proj: LinearParams;
  /** With the forget gate, [Hv, d] */
  readonly a_proj?: LinearParams;
  /** With the forget gate, [Hv] */
  readonly A_log?: Tensor1D;
  /** With the forget gate, [Hv] */
  readonly dt_bias?: Tensor1D;
  /** With the gate, [Hv·dv, d] */
  readonly g_proj?: LinearParams;
  readonly o_norm: NormParams;
  readonly o_proj: LinearParams;
}

export interface GatedDeltaProductState extends WindowState<'q' | 'k' | 'v'> {
  /** S, [sequences, value heads, dk, dv] */
  readonly memory: Tensor4D;
  readonly [name: string]: TensorTree;
}

/** Of n rows a token. */
interface GatedDeltaProductInputs extends WindowState<'q' | 'k' | 'v'> {
  readonly q: Tensor3D;
  readonly k: Tensor3D;
  readonly v: Tensor3D;
  readonly beta: Tensor2D;
  readonly logDecay: Tensor2D | undefined;
}

export function gatedDeltaProduct(
  options: GatedDeltaProductConfig,
): MemoryCell<GatedDeltaProductParams, GatedDeltaProductState, GatedDeltaProductInputs> {
  const config = complete('gatedDeltaProduct', options, ['width', 'heads', 'headWidth'], {
    householders: 2,
    expandV: 2,
    valueHeads: options.heads,
    convolution: 4,
    gate: true,
    forgetGate: true,
    negativeEigenvalues: true,
    initialDecay: undefined,
    normEps: 1e-5,
  });
  const { width, heads, headWidth, valueHeads, householders: steps, gate, forgetGate, normEps } = config;
  checkCount('gatedDeltaProduct(householders)', steps);
  checkConfig(
    config.initialDecay === undefined || forgetGate,
    'gatedDeltaProduct(initialDecay)',
    'nothing decays without a forget gate.',
    'Leave it out, or forgetGate: false.',
  );
  const highestDecay = config.initialDecay ?? 16;
  checkInitialDecay('gatedDeltaProduct', highestDecay);
  const { valueWidth, keySize, valueSize, group } = groupedSizes('gatedDeltaProduct', config);
  const [allKeys, allValues] = [steps * keySize, steps * valueSize];
  const short = siluConvolutions('gatedDeltaProduct', config.convolution, {
    q: keySize,
    k: allKeys,
    v: allValues,
  });
  /** A row for each step: [N, n·D] → [N·n, D]. */
  const toSteps = (x: Tensor2D): Tensor2D => reshape(x, [x.shape[0] * steps, x.shape[1] / steps]) as Tensor2D;
  /** A token's row at its first or its last step, zeros at the others: [N, D] → [N·n, D]. */
  const atStep = (x: Tensor2D, step: 'first' | 'last'): Tensor2D => {
    const others = (steps - 1) * x.shape[1];
    return toSteps(pad(x, [[0, 0], step === 'first' ? [0, others] : [others, 0]]));
  };
  const keys = (x: Tensor2D): Tensor3D => repeatHeads(l2Norm(toHeads(x, heads)) as Tensor3D, group);
  const logDecay = (params: GatedDeltaProductParams, context: ProjectContext): Tensor2D | undefined => {
    if (!forgetGate) return undefined;
    const { a_proj, A_log: aLog, dt_bias: dtBias } = params as Required<GatedDeltaProductParams>;
    return atStep(logDecayGate({ a: context.linear(a_proj), aLog, dtBias }) as Tensor2D, 'first');
  };

  return {
    name: 'gated_delta_product',
    rule: 'gated_delta',
    config,
    width,

    perMemory: ['k_proj', 'v_proj', 'b_proj', ...(forgetGate ? ['a_proj'] : [])],

    init: (rng) => ({
      q_proj: initLinear(rng.fold('q_proj'), width, keySize),
      ...(forgetGate ? initDecay(rng, { rates: valueHeads, highest: highestDecay }) : {}),
      ...short.init(rng),
      ...(gate ? { g_proj: initLinear(rng.fold('g_proj'), width, valueSize) } : {}),
      o_norm: { weight: ones([valueWidth]) as Tensor1D },
      o_proj: initLinear(rng.fold('o_proj'), valueSize, width),
      k_proj: initLinear(rng.fold('k_proj'), width, allKeys),
      v_proj: initLinear(rng.fold('v_proj'), width, allValues),
      b_proj: initLinear(rng.fold('b_proj'), width, steps * valueHeads),
      ...(forgetGate ? { a_proj: initLinear(rng.fold('a_proj'), width, valueHeads) } : {}),
    }),

    stateShape: (sequences) => ({
      memory: [sequences, valueHeads, headWidth, valueWidth],
      ...short.stateShape(sequences),
    }),

    project: (params, context) => {
      const { k, v, b } = context.linears({ k: params.k_proj, v: params.v_proj, b: params.b_proj });
      const q = context.commonLinear(params.q_proj);
      const { values, windows } = short.apply(params, context, { q, k, v });
      const beta = toSteps(sigmoid(b));
      return {
        q: toHeads(atStep(fromHeads(keys(values.q)), 'last'), valueHeads),
        k: keys(toSteps(values.k)),
        v: toHeads(toSteps(values.v), valueHeads),
        beta: config.negativeEigenvalues ? mul(beta, 2) : beta,
        logDecay: logDecay(params, context),
        windows,
      };
    },

    scan: ({ windows, ...inputs }, state, sequences, algorithm) => {
      const { o, state: memory } = deltaRule(
        { ...inputs, initialState: state?.memory },
        { ...algorithm, sequences: repeatedSequences(sequences, steps) },
      );
      const read = reshape(o, [sequences.rows, steps * valueSize]);
      const last = slice(read, [0, (steps - 1) * valueSize], [sequences.rows, valueSize]) as Tensor2D;
      return {
        o: toHeads(last, valueHeads),
        state: { memory: memory as Tensor4D, ...(windows ? { windows } : {}) },
      };
    },

    tokenLayers: queryAndGate,

    readout: ({ o_norm, o_proj, g_proj }, o, _x, map) =>
      readout({ norm: o_norm, o_proj, g_proj }, o, map, normEps),
  };
}
