// RWKV-7 (Peng et al. 2025, "RWKV-7 Goose with Expressive Dynamic State Evolution"): what a memory recalls at
// κ it takes away, to the extent α, before it writes,
//   S ← Diag(e^w) S − (κ ⊙ α)(κᵀS) + k vᵀ ,  o = Sᵀ r
//   w = −e^{−1/2} σ(LoRA(x_w)) ,  α = σ(LoRA(x_a))  for each key channel
//   κ = k ⊙ k_k, normalised ;  k ← k ⊙ (1 + (α − 1) ⊙ k_a)
//   y = W_o( (GroupNorm(o) + (Σ_c r k r_k) v) ⊙ g )
// where each projection sees a mix x + δ ⊙ μ of the token and the one before it. Layers above the first pull
// their values towards the first layer's: v ← v + σ(LoRA(x_v)) ⊙ (v_first − v). Parameters, computation and
// start are fla's.
import { diagonalPlusLowRank, l2Norm } from '@mnemix/kernels';
import {
  initOrthogonal,
  linear,
  mixShifted,
  SHIFT_TAPS,
  tokenShift,
  type CellParams,
  type CrossLayer,
  type LinearParams,
  type MemoryCell,
} from '@mnemix/layers';
import {
  add,
  checkConfig,
  checkShapes,
  fill,
  mul,
  neg,
  reshape,
  sigmoid,
  sub,
  sum,
  tanh,
  tensor1d,
  tensor3d,
  zeros,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
  type TensorTree,
} from '@mnemix/tensor';
import { convolutions, type WindowState } from './convolutions.ts';
import { groupNorm, initGroupNorm, type GroupNormParams } from './group-norm.ts';
import { fromHeads, toHeads } from './heads.ts';
import { initLowRank, lowRank, type LowRankParams } from './low-rank.ts';
import { alight, rideAlong } from './ride-along.ts';
import { completeRwkv7, type Rwkv7Config } from './rwkv7-config.ts';
import { initialValues } from './rwkv7-initial-values.ts';

export type { Rwkv7Config } from './rwkv7-config.ts';

export interface Rwkv7Params extends CellParams {
  /** μ of each projection, [1, 1, d]. */
  readonly x_r: Tensor3D;
  readonly x_w: Tensor3D;
  readonly x_k: Tensor3D;
  readonly x_v: Tensor3D;
  readonly x_a: Tensor3D;
  readonly x_g: Tensor3D;
  /** [H·dk] */
  readonly k_k: Tensor1D;
  /** [H·dk] */
  readonly k_a: Tensor1D;
  /** [H, dk] */
  readonly r_k: Tensor2D;
  readonly r_proj: LinearParams;
  readonly k_proj: LinearParams;
  readonly v_proj: LinearParams;
  readonly w_lora: LowRankParams;
  readonly a_lora: LowRankParams;
  /** Above the first layer. */
  readonly v_lora?: LowRankParams;
  readonly g_lora: LowRankParams;
  readonly g_norm: GroupNormParams;
  readonly o_proj: LinearParams;
}

export interface Rwkv7State extends WindowState<'r' | 'k' | 'v'> {
  /** S, [sequences, heads, dk, dv] */
  readonly memory: Tensor4D;
  /** The last inputs, [sequences, d, 2] */
  readonly shift: Tensor3D;
  readonly [name: string]: TensorTree;
}

interface Rwkv7Inputs extends WindowState<'r' | 'k' | 'v'> {
  readonly q: Tensor3D;
  readonly k: Tensor3D;
  readonly v: Tensor3D;
  readonly a: Tensor3D;
  readonly b: Tensor3D;
  readonly logDecay: Tensor3D;
  /** (Σ_c r k r_k) v, [N, H, dv] */
  readonly own: Tensor3D;
  readonly gate: Tensor3D;
  readonly shift: Tensor3D;
}

/** w where the sigmoid is 1: no memory is cut to less than e^{this} = 0.545 of itself. */
const LOWEST_LOG_DECAY = -Math.exp(-0.5);

export function rwkv7(options: Rwkv7Config): MemoryCell<Rwkv7Params, Rwkv7State, Rwkv7Inputs> {
  const config = completeRwkv7(options);
  const { width, heads, headWidth, valueWidth, layer, normEps } = config;
  const [keySize, valueSize] = [heads * headWidth, heads * valueWidth];
  const short = convolutions('rwkv7', config.convolution, { r: keySize, k: keySize, v: valueSize });
  const { valueWidth: _, ...described } = config;

  return {
    name: 'rwkv7',
    rule: 'dplr',
    config: described,
    width,

    perMemory: ['k_proj', 'v_proj', 'w_lora', 'a_lora', ...(layer > 0 ? ['v_lora'] : [])],

    init: (rng) => {
      const start = initialValues(config, { keySize, valueSize });
      const mix = (values: Float32Array) => tensor3d(values, [1, 1, width]);
      const orthogonal = (name: string, outWidth: number, gain = 1) =>
        initOrthogonal(rng.fold(name), width, outWidth, gain);
      const low = (name: string, rank: number, outWidth: number, bias?: Float32Array) =>
        initLowRank(rng.fold(name), { inWidth: width, rank, outWidth }, bias);
      return {
        x_r: mix(start.mixes.r),
        x_w: mix(start.mixes.w),
        x_k: mix(start.mixes.k),
        x_v: mix(start.mixes.v),
        x_a: mix(start.mixes.a),
        x_g: mix(start.mixes.g),
        k_k: tensor1d(start.erase),
        k_a: fill([keySize], 1.02),
        r_k: fill([heads, headWidth], -0.04),
        r_proj: orthogonal('r_proj', keySize),
        ...short.init(rng),
        g_lora: low('g_lora', config.gateRank, valueSize),
        g_norm: initGroupNorm(valueSize, start.norm),
        o_proj: { weight: zeros([width, valueSize]) as Tensor2D },
        k_proj: orthogonal('k_proj', keySize, 0.1),
        v_proj: orthogonal('v_proj', valueSize),
        w_lora: low('w_lora', config.decayRank, keySize, start.decay),
        a_lora: low('a_lora', config.learningRateRank, keySize, start.learningRate),
        ...(layer > 0 ? { v_lora: low('v_lora', config.valueRank, valueSize, start.value) } : {}),
      };
    },

    stateShape: (sequences) => ({
      memory: [sequences, heads, headWidth, valueWidth],
      shift: [sequences, width, SHIFT_TAPS],
      ...short.stateShape(sequences),
    }),

    project: (params, context) => {
      const { rows, sequences, state } = context;
      const { delta, window: shift } = tokenShift(rows, sequences, state?.shift);
      const mixed = (mu: Tensor3D) => mixShifted(rows, delta, reshape(mu, [width]));
      const gateOf = (layers: LowRankParams, x: Tensor2D, phi = (low: Tensor2D) => low) =>
        sigmoid(lowRank(layers, x, phi, context.linear));
      const seenByV = mixed(params.x_v);
      const { values, windows } = short.apply(params, context, {
        r: linear(mixed(params.x_r), params.r_proj),
        k: context.linear(params.k_proj, mixed(params.x_k)),
        v: context.linear(params.v_proj, seenByV),
      });
      const first =
        layer > 0 ? firstValues(context.crossLayer, layer, [rows.shape[0], valueSize]) : undefined;
      const v = first
        ? add(values.v, mul(gateOf(params.v_lora as LowRankParams, seenByV), sub(first, values.v)))
        : values.v;
      const alpha = gateOf(params.a_lora, mixed(params.x_a));
      const key = mul(values.k, add(mul(sub(alpha, 1), params.k_a), 1)) as Tensor2D;
      const erase = l2Norm(toHeads(mul(values.k, params.k_k), heads)) as Tensor3D;
      const [q, k, perHead] = [toHeads(values.r, heads), toHeads(key, heads), toHeads(v as Tensor2D, heads)];
      return {
        q,
        k,
        v: perHead,
        a: neg(erase),
        b: mul(erase, toHeads(alpha, heads)),
        logDecay: toHeads(mul(gateOf(params.w_lora, mixed(params.x_w), tanh), LOWEST_LOG_DECAY), heads),
        own: mul(sum(mul(mul(q, k), params.r_k), 2, true), perHead) as Tensor3D,
        gate: toHeads(lowRank(params.g_lora, mixed(params.x_g), sigmoid), heads),
        shift,
        windows,
      };
    },

    ...(layer === 0 ? { handOn: ({ v }: Rwkv7Inputs) => ({ first_values: fromHeads(v) }) } : {}),

    scan: ({ own, gate, shift, windows, ...inputs }, state, sequences, algorithm) => {
      const { o, state: memory } = diagonalPlusLowRank(
        { ...inputs, initialState: state?.memory },
        { ...algorithm, sequences, scale: 1 },
      );
      return {
        o: rideAlong(o as Tensor3D, [own, gate], sequences),
        state: { memory: memory as Tensor4D, shift, windows },
      };
    },

    readout: ({ g_norm, o_proj }, o) => {
      const [read, own, gate] = alight(o, 3) as [Tensor3D, Tensor3D, Tensor3D];
      const normed = groupNorm(read, g_norm, headWidth * normEps);
      return linear(fromHeads(mul(add(normed, own), gate)), o_proj);
    },
  };
}

/**
 * @throws MnemixError `config` where no earlier layer handed them on, `shape` where they have another width
 */
function firstValues({ tokens }: CrossLayer, layer: number, shape: [number, number]): Tensor2D {
  const first = tokens?.first_values;
  checkConfig(
    first !== undefined,
    'rwkv7(layer)',
    `layer ${layer} mixes its values with those of the first layer, which are missing.`,
    'Run it in a model whose layer 0 is an rwkv7, or pass crossLayer.tokens.first_values.',
  );
  checkShapes('rwkv7', { first_values: [first, shape] });
  return first;
}
