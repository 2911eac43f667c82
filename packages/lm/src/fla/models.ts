// How fla's model types name the options of each cell. One row a model.
import { featureMaps, type CellName } from '@mnemix/cells';
import {
  choice,
  derived,
  firstOf,
  flag,
  number,
  optional,
  ratio,
  shortConvolution,
  type Field,
} from './fields.ts';
import type { FlaReader } from './reader.ts';

export interface FlaModel {
  readonly modelTypes: readonly [string, ...string[]];
  /** The class that fla loads it with. */
  readonly architecture: string;
  readonly cell: CellName;
  /** Options by our names. What has no field cannot be said to fla. */
  readonly fields: Readonly<Record<string, Field>>;
  /** Keys of features that we do not have, and the values that leave them off: the first is what we write. */
  readonly only?: Readonly<Record<string, readonly unknown[]>>;
  /** The MLP's width over d where neither is given. Default 4. */
  readonly hiddenRatio?: number;
  /** Default 1e-6. */
  readonly normEps?: number;
  /** Epsilon of the layer's own norm, where fla's layer does not take the configuration's. */
  readonly layerEps?: number;
  /** The cell is the memory of a Mixture-of-Memories. */
  readonly routed?: Readonly<Record<string, Field>>;
}

const activationNames = ['silu', 'relu', 'elu', 'identity'];
const noGroups = { num_kv_heads: [null, undefined] };

/** Gated DeltaNet and its kin: widths by head. */
const headFields = (heads: number, headWidth: number, expandV: number) => ({
  heads: number('num_heads', heads),
  headWidth: number('head_dim', headWidth),
  expandV: ratio('expand_v', expandV, 'headWidth'),
});

/** Linear attention and its kin: widths by ratios of the model's. */
const widthFields = (heads: number, expandK: number, expandV: number) => ({
  heads: number('num_heads', heads),
  expandK: ratio('expand_k', expandK, 'width'),
  expandV: ratio('expand_v', expandV, 'width'),
});

const stepLimits = (json: FlaReader): readonly [number, number] =>
  (json.value('dt_limit') ?? [0, Infinity]) as [number, number];

const rwkvNorms = { norm_first: [true, undefined], norm_bias: [true, undefined] };

/** The width of all heads' values: a number, or a list with one for each layer, all alike. */
const rwkv7ValueSize = (json: FlaReader): number => {
  const given = json.value('value_dim') ?? json.count('hidden_size');
  const sizes = new Set(Array.isArray(given) ? given : [given]);
  return sizes.size === 1 ? Number([...sizes][0]) : NaN;
};

export const flaModels: readonly FlaModel[] = [
  {
    modelTypes: ['mom', 'mom_gated_deltanet'],
    architecture: 'MomForCausalLM',
    cell: 'gated_delta_net',
    routed: {
      memories: number('num_memories', 4),
      topK: number('topk', 2),
      shared: flag('shared_mem', true),
      singleKvProj: flag('single_kv_proj', false),
    },
    fields: {
      ...headFields(4, 256, 1),
      convolution: number('conv_size', 4),
      gate: flag('use_output_gate', true),
    },
    only: { use_short_conv: [true, undefined], mom_backend: ['gated_deltanet', undefined] },
  },
  {
    modelTypes: ['gated_deltanet'],
    architecture: 'GatedDeltaNetForCausalLM',
    cell: 'gated_delta_net',
    fields: {
      ...headFields(6, 256, 2),
      valueHeads: firstOf(['num_v_heads', 'num_heads'], 6),
      convolution: number('conv_size', 4),
      gate: flag('use_gate', true),
      negativeEigenvalues: flag('allow_neg_eigval', false),
    },
    only: { use_short_conv: [true, undefined] },
  },
  {
    modelTypes: ['delta_net'],
    architecture: 'DeltaNetForCausalLM',
    cell: 'delta_net',
    fields: {
      ...widthFields(16, 1, 1),
      convolution: shortConvolution(true),
      activation: choice('qk_activation', activationNames, 'silu'),
      norm: choice('qk_norm', ['l2', 'sum'], 'l2'),
      beta: flag('use_beta', true),
      negativeEigenvalues: flag('allow_neg_eigval', false),
      gate: flag('use_gate', false),
    },
    only: { use_output_norm: [true, undefined] },
  },
  {
    modelTypes: ['gla'],
    architecture: 'GLAForCausalLM',
    cell: 'gla',
    fields: {
      ...widthFields(4, 0.5, 1),
      convolution: shortConvolution(false),
      gate: flag('use_output_gate', true),
      clampMin: optional('clamp_min'),
    },
    only: {
      use_gk: [true, undefined],
      use_gv: [false, undefined],
      ...noGroups,
      feature_map: [null, undefined],
    },
  },
  {
    modelTypes: ['retnet'],
    architecture: 'RetNetForCausalLM',
    cell: 'retnet',
    hiddenRatio: 2,
    fields: {
      ...widthFields(8, 1, 2),
      convolution: shortConvolution(false),
      gate: flag('use_output_gate', true),
    },
    only: { ...noGroups, feature_map: [null, undefined] },
  },
  {
    modelTypes: ['linear_attn'],
    architecture: 'LinearAttentionForCausalLM',
    cell: 'linear_attention',
    fields: {
      ...widthFields(4, 1, 1),
      featureMap: choice('feature_map', Object.keys(featureMaps), 'elementwise_product'),
      tieFeatureMaps: flag('tie_feature_map_qk', false),
      normalise: flag('norm_feature_map', false),
      normaliseQ: flag('norm_q', false),
      normaliseK: flag('norm_k', false),
    },
    only: noGroups,
  },
  {
    modelTypes: ['hgrn2'],
    architecture: 'HGRN2ForCausalLM',
    cell: 'hgrn2',
    layerEps: 1e-5,
    fields: {
      heads: derived(
        // The width of a head counts, where both are given.
        (json) =>
          json.has('expand_ratio') || !json.has('num_heads')
            ? json.count('hidden_size') / json.number('expand_ratio', 128)
            : json.number('num_heads'),
        (heads, { width }) => ({ num_heads: heads, expand_ratio: (width as number) / (heads as number) }),
      ),
      convolution: shortConvolution(false),
      useLowerBound: flag('use_lower_bound', true),
    },
  },
  {
    modelTypes: ['mamba2'],
    architecture: 'Mamba2ForCausalLM',
    cell: 'mamba2',
    normEps: 1e-5,
    fields: {
      heads: derived(
        (json) => json.number('num_heads', 64),
        (heads, { width, expand }) => ({
          num_heads: heads,
          head_dim: Math.round(((width as number) * (expand as number)) / (heads as number)),
        }),
      ),
      stateWidth: number('state_size', 128),
      expand: number('expand', 2),
      groups: number('n_groups', 1),
      convolution: number('conv_kernel', 4),
      dtMin: derived(
        (json) => stepLimits(json)[0],
        (dtMin, { dtMax }) => ({ dt_limit: [dtMin, dtMax ?? Infinity] }),
      ),
      dtMax: derived(
        (json) => (stepLimits(json)[1] === Infinity ? undefined : stepLimits(json)[1]),
        () => ({}),
      ),
    },
    only: {
      use_bias: [false, undefined],
      use_conv_bias: [true, undefined],
      rmsnorm: [true, undefined],
      D_has_hdim: [false, undefined],
      norm_before_gate: [false, undefined],
    },
  },
  {
    modelTypes: ['kda'],
    architecture: 'KDAForCausalLM',
    cell: 'kda',
    fields: {
      ...headFields(16, 128, 1),
      valueHeads: firstOf(['num_v_heads', 'num_heads'], 16),
      convolution: shortConvolution(true),
      negativeEigenvalues: flag('allow_neg_eigval', false),
    },
  },
  {
    modelTypes: ['gdn2'],
    architecture: 'GDN2ForCausalLM',
    cell: 'gdn2',
    fields: {
      ...headFields(16, 128, 1),
      valueHeads: firstOf(['num_v_heads', 'num_heads'], 16),
      convolution: shortConvolution(true),
      negativeEigenvalues: flag('allow_neg_eigval', false),
    },
    only: { use_gate: [true, undefined] },
  },
  {
    modelTypes: ['comba'],
    architecture: 'CombaForCausalLM',
    cell: 'comba',
    fields: {
      ...headFields(6, 256, 2),
      valueHeads: firstOf(['num_v_heads', 'num_heads'], 6),
      convolution: shortConvolution(true),
      gate: flag('use_gate', true),
      outputCorrection: flag('use_output_correction', true),
      innerDecay: flag('use_inner_decay', true),
    },
  },
  {
    modelTypes: ['gated_deltaproduct'],
    architecture: 'GatedDeltaProductForCausalLM',
    cell: 'gated_delta_product',
    fields: {
      ...headFields(6, 256, 2),
      householders: number('num_householder', 1),
      convolution: shortConvolution(true),
      gate: flag('use_output_gate', true),
      forgetGate: flag('use_forget_gate', false),
      negativeEigenvalues: flag('allow_neg_eigval', false),
    },
  },
  {
    modelTypes: ['mesa_net'],
    architecture: 'MesaNetForCausalLM',
    cell: 'mesa_net',
    fields: {
      heads: number('num_heads', 16),
      headWidth: number('head_dim', 128),
      steps: number('max_cg_step_training', 30),
      lambdaLowerBound: number('lambda_lower_bound', 0.25),
      convolution: shortConvolution(true),
      gate: flag('use_gate', false),
    },
  },
  {
    modelTypes: ['gsa'],
    architecture: 'GSAForCausalLM',
    cell: 'gsa',
    layerEps: 1e-5,
    fields: {
      ...widthFields(4, 1, 1),
      slots: number('num_slots', 64),
      gateNormalizer: number('gate_logit_normalizer', 8),
      clampMin: optional('clamp_min'),
      convolution: shortConvolution(false),
    },
    only: {
      ...noGroups,
      clamp_max: [null, undefined],
      feature_map: ['swish', 'silu', undefined],
      use_output_gate: [false, undefined],
      use_norm: [true, undefined],
    },
  },
  {
    modelTypes: ['rwkv6'],
    architecture: 'RWKV6ForCausalLM',
    cell: 'rwkv6',
    hiddenRatio: 3.5,
    normEps: 1e-5,
    fields: {
      ...widthFields(4, 0.5, 1),
      mixRank: number('proj_low_rank_dim', 32),
      decayRank: number('gate_low_rank_dim', 64),
    },
    only: rwkvNorms,
  },
  {
    modelTypes: ['rwkv7', 'rwkv7_fla'],
    architecture: 'RWKV7ForCausalLM',
    cell: 'rwkv7',
    normEps: 1e-5,
    fields: {
      heads: optional('num_heads'),
      headWidth: number('head_dim', 64),
      expandV: derived(
        (json) => rwkv7ValueSize(json) / json.count('hidden_size'),
        (expandV, { width }) => ({ value_dim: Math.round((width as number) * (expandV as number)) }),
      ),
      decayRank: optional('decay_low_rank_dim'),
      learningRateRank: optional('a_low_rank_dim'),
      valueRank: optional('v_low_rank_dim'),
      gateRank: optional('gate_low_rank_dim'),
    },
    only: rwkvNorms,
  },
];
