// DeltaNet (Schlag et al. 2021; Yang et al. 2024, "Parallelizing linear transformers with the delta rule", eq. 6):
//   S ← (I − β k kᵀ) S + β k vᵀ ,  o = Sᵀ q ,  β = σ(W_b x)
import { deltaRule, l2Norm } from '@mnemix/kernels';
import {
  initLinear,
  type CellParams,
  type LinearParams,
  type MemoryCell,
  type ProjectContext,
} from '@mnemix/layers';
import {
  div,
  equal,
  fill,
  mul,
  ones,
  onesLike,
  sigmoid,
  silu,
  sum,
  where,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
  type TensorTree,
} from '@mnemix/tensor';
import { activations, type Activation } from './activations.ts';
import { convolutions, type WindowState } from './convolutions.ts';
import { toHeads } from './heads.ts';
import { memoryScan } from './memory-scan.ts';
import { choose, complete, headSizes } from './options.ts';
import { askOwnKey } from './own-key.ts';
import { queryAndGate, readout, type NormParams } from './readout.ts';

const norms = {
  l2: (x: Tensor3D): Tensor3D => l2Norm(x) as Tensor3D,
  /** Entries that sum to one; all of them 0 stay 0, where fla divides 0 by 0. */
  sum: (x: Tensor3D): Tensor3D => {
    const total = sum(x, -1, true);
    return div(x, where(equal(total, 0), onesLike(total), total));
  },
} as const;

export interface DeltaNetConfig {
  /** Model width d. */
  readonly width: number;
  readonly heads: number;
  /** All heads' key width over d. Default 1. */
  readonly expandK?: number;
  /** All heads' value width over d. Default 1. */
  readonly expandV?: number;
  /** Taps of the short convolutions; 0 leaves them out. Default 4. */
  readonly convolution?: number;
  /** Activation of queries and keys. Default silu. */
  readonly activation?: Activation;
  /** Norm of queries and keys: unit length, or entries that sum to one. Default l2. */
  readonly norm?: keyof typeof norms;
  /** Learned write strength β; false writes with β = 1. Default true. */
  readonly beta?: boolean;
  /** β in (0, 2) instead of (0, 1). Default false. */
  readonly negativeEigenvalues?: boolean;
  /** Gate the output with silu(W_g x). Default false. */
  readonly gate?: boolean;
  readonly normEps?: number;
}

export interface DeltaNetParams extends CellParams {
  readonly q_proj: LinearParams;
  readonly k_proj: LinearParams;
  readonly v_proj: LinearParams;
  /** With the gate, [H·dv, d] */
  readonly g_proj?: LinearParams;
  readonly o_norm: NormParams;
  readonly o_proj: LinearParams;
}

type Stream = 'q' | 'k' | 'v';

export interface DeltaNetState extends WindowState<Stream> {
  /** S, [sequences, heads, dk, dv] */
  readonly memory: Tensor4D;
  readonly [name: string]: TensorTree;
}

interface DeltaNetInputs extends WindowState<Stream> {
  readonly q: Tensor3D;
  readonly k: Tensor3D;
  readonly v: Tensor3D;
  readonly beta: Tensor2D | undefined;
}

export function deltaNet(options: DeltaNetConfig): MemoryCell<DeltaNetParams, DeltaNetState, DeltaNetInputs> {
  const config = complete('deltaNet', options, ['width', 'heads'], {
    expandK: 1,
    expandV: 1,
    convolution: 4,
    activation: 'silu',
    norm: 'l2',
    beta: true,
    negativeEigenvalues: false,
    gate: false,
    normEps: 1e-5,
  });
  const { width, heads, convolution, activation, normEps } = config;
  const { keySize, valueSize } = headSizes('deltaNet', config);
  const short = convolutions('deltaNet', convolution, { q: keySize, k: keySize, v: valueSize });
  const activate = choose('deltaNet(activation)', activations, activation);
  const normalise = choose('deltaNet(norm)', norms, config.norm);
  const strongest = config.negativeEigenvalues ? 2 : 1;
  /** β [N, heads]; left out where it is 1. */
  const writeStrength = (params: DeltaNetParams, context: ProjectContext): Tensor2D | undefined => {
    if (config.beta)
      return mul(sigmoid(context.linear(params.b_proj as LinearParams)), strongest) as Tensor2D;
    return strongest === 1 ? undefined : (fill([context.rows.shape[0], heads], strongest) as Tensor2D);
  };

  return {
    name: 'delta_net',
    rule: 'delta',
    config,
    width,

    perMemory: ['k_proj', 'v_proj', ...(config.beta ? ['b_proj'] : [])],

    init: (rng) => ({
      q_proj: initLinear(rng.fold('q_proj'), width, keySize),
      ...short.init(rng),
      ...(config.gate ? { g_proj: initLinear(rng.fold('g_proj'), width, valueSize) } : {}),
      o_norm: { weight: ones([valueSize / heads]) as Tensor1D },
      o_proj: initLinear(rng.fold('o_proj'), valueSize, width),
      k_proj: initLinear(rng.fold('k_proj'), width, keySize),
      v_proj: initLinear(rng.fold('v_proj'), width, valueSize),
      ...(config.beta ? { b_proj: initLinear(rng.fold('b_proj'), width, heads) } : {}),
    }),

    stateShape: (sequences) => ({
      memory: [sequences, heads, keySize / heads, valueSize / heads],
      ...short.stateShape(sequences),
    }),

    project: (params, context) => {
      const fused = activation === 'silu' && convolution > 0;
      const { values, windows } = short.apply(
        params,
        context,
        {
          q: context.commonLinear(params.q_proj),
          ...context.linears({ k: params.k_proj, v: params.v_proj }),
        },
        fused ? {} : { q: 'none', k: 'none' },
      );
      const activated = fused ? values : { q: activate(values.q), k: activate(values.k) };
      return {
        q: normalise(toHeads(activated.q, heads)),
        k: normalise(toHeads(activated.k, heads)),
        v: toHeads(convolution > 0 ? values.v : silu(values.v), heads),
        beta: writeStrength(params, context),
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
