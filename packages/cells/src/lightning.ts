// Lightning attention (Qin et al. 2024, "Lightning Attention-2", eq. 4): a constant decay for each head,
//   S ← e^{−s_h} S + k vᵀ ,  o = Sᵀ q ,  s_h = (8/H)(1 − layer/L)·h  for heads h = 0 … H−1
// fla has this decay as an operation and no layer around it; the projections, the silu of queries and keys
// and the RMSNorm of what is read are those of Linear-MoE, whose own slopes are ALiBi's, 2^{−8(h+1)/H}, alike
// in every layer.
import { diagonalDecay } from '@mnemix/kernels';
import { initLinear, type CellParams, type LinearParams, type MemoryCell } from '@mnemix/layers';
import { tensor2d, tile, type Tensor2D, type Tensor3D, type Tensor4D, type TensorTree } from '@mnemix/tensor';
import { activations, type Activation } from './activations.ts';
import { convolutions, type WindowState } from './convolutions.ts';
import { toHeads } from './heads.ts';
import { checkLayer, type LayerPosition } from './layer-position.ts';
import { memoryScan } from './memory-scan.ts';
import { choose, complete, headSizes } from './options.ts';
import { askOwnKey } from './own-key.ts';
import { queryAndGate, swishReadout, type SwishReadoutParams } from './readout.ts';

type Slopes = (head: number, heads: number, position: LayerPosition) => number;

const slopes = {
  /** Head 0 never forgets, and deeper layers forget less. */
  fla: (head, heads, { layer, layers }) => (8 / heads) * (1 - layer / layers) * head,
  /** The last head forgets least; the same in every layer (Press et al. 2021). */
  alibi: (head, heads) => 2 ** ((-8 * (head + 1)) / heads),
} as const satisfies Record<string, Slopes>;

export interface LightningConfig {
  /** Model width d. */
  readonly width: number;
  readonly heads: number;
  /** All heads' key width over d. Default 1. */
  readonly expandK?: number;
  /** All heads' value width over d. Default 1. */
  readonly expandV?: number;
  /** Decay of each head: fla's, by head and layer, or Linear-MoE's, by head alone. Default fla. */
  readonly slopes?: keyof typeof slopes;
  /** Activation of queries and keys. Default silu. */
  readonly activation?: Activation;
  /**
   * Taps of short convolutions: over queries and keys in front of their activation, over values with silu.
   * Default 0: none, as in Linear-MoE.
   */
  readonly convolution?: number;
  /** Gate the output with silu(W_g x). Default false. */
  readonly gate?: boolean;
  readonly normEps?: number;
  /** Layer that the cell is for, counted from 0. Default 0. */
  readonly layer?: number;
  /** Layers of the model, L. Default 1. */
  readonly layers?: number;
}

export interface LightningParams extends CellParams, SwishReadoutParams {
  readonly q_proj: LinearParams;
  readonly k_proj: LinearParams;
  readonly v_proj: LinearParams;
}

export interface LightningState extends WindowState<'q' | 'k' | 'v'> {
  /** S, [sequences, heads, dk, dv] */
  readonly memory: Tensor4D;
  readonly [name: string]: TensorTree;
}

interface LightningInputs extends WindowState<'q' | 'k' | 'v'> {
  readonly q: Tensor3D;
  readonly k: Tensor3D;
  readonly v: Tensor3D;
  readonly logDecay: Tensor2D;
}

export function lightning(
  options: LightningConfig,
): MemoryCell<LightningParams, LightningState, LightningInputs> {
  const config = complete('lightning', options, ['width', 'heads'], {
    expandK: 1,
    expandV: 1,
    slopes: 'fla',
    activation: 'silu',
    convolution: 0,
    gate: false,
    normEps: 1e-5,
    layer: 0,
    layers: 1,
  });
  const { width, heads } = config;
  checkLayer('lightning', config);
  const { keySize, valueSize } = headSizes('lightning', config);
  const activate = choose('lightning(activation)', activations, config.activation);
  const slope: Slopes = choose('lightning(slopes)', slopes, config.slopes);
  const decay = Array.from({ length: heads }, (_, head) => -slope(head, heads, config));
  const output = swishReadout(config, valueSize);
  const short = convolutions('lightning', config.convolution, { q: keySize, k: keySize, v: valueSize });

  return {
    name: 'lightning',
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
      ...short.stateShape(sequences),
    }),

    project: (params, context) => {
      const { values, windows } = short.apply(
        params,
        context,
        {
          q: context.commonLinear(params.q_proj),
          ...context.linears({ k: params.k_proj, v: params.v_proj }),
        },
        { q: 'none', k: 'none' },
      );
      return {
        q: toHeads(activate(values.q), heads),
        k: toHeads(activate(values.k), heads),
        v: toHeads(values.v, heads),
        windows,
        logDecay: tile(tensor2d([decay]), [context.sequences.rows, 1]),
      };
    },

    scan: memoryScan(diagonalDecay),

    selfRecall: askOwnKey,

    tokenLayers: queryAndGate,

    readout: output.apply,
  };
}
