// How fla's model types name the options of each mixer. One row a model.
import { featureMaps, type FeatureMapName } from '@mnemix/cells';
import type { CellConfig, LmConfig, MixerConfig } from '../config.ts';

/** Typed access to a config.json. */
export interface FlaReader {
  number(key: string, fallback?: number): number;
  flag(key: string, fallback: boolean): boolean;
  choice<const Name extends string>(key: string, names: readonly Name[], fallback: Name): Name;
  /** Whether the key is there and not null. */
  has(key: string): boolean;
}

interface FlaMixer<M extends MixerConfig = MixerConfig> {
  readonly modelTypes: readonly string[];
  /** Keys that select features we do not have, and the values that leave them off. */
  readonly only?: Readonly<Record<string, readonly unknown[]>>;
  readonly auxiliary?: true;
  read(json: FlaReader): MixerConfig;
  /** undefined where fla cannot express the options. */
  write(mixer: M, model: LmConfig): Record<string, unknown> | undefined;
}

const norm = (json: FlaReader) => ({ normEps: json.number('norm_eps', 1e-6) });

/** fla truncates width·ratio; where rounding would cost it one, the ratio is raised by less than matters to us. */
const ratio = (width: number, value: number): number => {
  const size = Math.round(width * value);
  return Math.floor(width * value) === size ? value : (size + 1e-7) / width;
};

/** fla gives blocks and layers one epsilon; ours may differ. */
const sameEps = (mixer: { normEps?: number }, model: LmConfig): boolean =>
  (mixer.normEps ?? 1e-5) === (model.normEps ?? 1e-6);

const gatedDeltaNet: FlaMixer<Extract<CellConfig, { type: 'gated_delta_net' }>> = {
  modelTypes: ['gated_deltanet'],
  only: { use_short_conv: [true, undefined] },
  read: (json) => ({
    type: 'gated_delta_net',
    heads: json.number('num_heads', 6),
    headWidth: json.number('head_dim', 256),
    expandV: json.number('expand_v', 2),
    valueHeads: json.number('num_v_heads', json.number('num_heads', 6)),
    convolution: json.number('conv_size', 4),
    gate: json.flag('use_gate', true),
    negativeEigenvalues: json.flag('allow_neg_eigval', false),
    ...norm(json),
  }),
  write: (mixer, model) =>
    sameEps(mixer, model)
      ? {
          model_type: 'gated_deltanet',
          architectures: ['GatedDeltaNetForCausalLM'],
          num_heads: mixer.heads,
          num_v_heads: mixer.valueHeads ?? mixer.heads,
          head_dim: mixer.headWidth,
          expand_v: ratio(mixer.headWidth, mixer.expandV ?? 2),
          conv_size: mixer.convolution ?? 4,
          use_short_conv: true,
          use_gate: mixer.gate ?? true,
          allow_neg_eigval: mixer.negativeEigenvalues ?? false,
        }
      : undefined,
};

const momGatedDeltaNet: FlaMixer<Extract<MixerConfig, { type: 'mom' }>> = {
  modelTypes: ['mom', 'mom_gated_deltanet'],
  only: { use_short_conv: [true, undefined], mom_backend: ['gated_deltanet', undefined] },
  auxiliary: true,
  read: (json) => ({
    type: 'mom',
    memories: json.number('num_memories', 4),
    topK: json.number('topk', 2),
    shared: json.flag('shared_mem', true),
    singleKvProj: json.flag('single_kv_proj', false),
    cell: {
      type: 'gated_delta_net',
      heads: json.number('num_heads', 4),
      headWidth: json.number('head_dim', 256),
      expandV: json.number('expand_v', 1),
      convolution: json.number('conv_size', 4),
      gate: json.flag('use_output_gate', true),
      ...norm(json),
    },
  }),
  write: ({ cell, memories, topK, shared, singleKvProj }, model) => {
    if (cell.type !== 'gated_delta_net' || !sameEps(cell, model)) return undefined;
    // fla pools the balance loss over the layers, and has no other.
    const { balanceScope = 'pooled', z = 0 } = model.auxiliary ?? {};
    if (balanceScope !== 'pooled' || z !== 0) return undefined;
    if (cell.negativeEigenvalues || (cell.valueHeads ?? cell.heads) !== cell.heads) return undefined;
    return {
      model_type: 'mom',
      architectures: ['MomForCausalLM'],
      mom_backend: 'gated_deltanet',
      num_memories: memories ?? 4,
      topk: topK ?? 2,
      shared_mem: shared ?? true,
      single_kv_proj: singleKvProj ?? false,
      num_heads: cell.heads,
      head_dim: cell.headWidth,
      expand_v: ratio(cell.headWidth, cell.expandV ?? 2),
      conv_size: cell.convolution ?? 4,
      use_short_conv: true,
      use_output_gate: cell.gate ?? true,
      aux_loss_scale: model.auxiliary?.balance ?? 0.01,
    };
  },
};

const deltaNet: FlaMixer<Extract<CellConfig, { type: 'delta_net' }>> = {
  modelTypes: ['delta_net'],
  only: { use_output_norm: [true, undefined] },
  read: (json) => ({
    type: 'delta_net',
    heads: json.number('num_heads', 16),
    expandK: json.number('expand_k', 1),
    expandV: json.number('expand_v', 1),
    convolution: json.flag('use_short_conv', true) ? json.number('conv_size', 4) : 0,
    activation: json.choice('qk_activation', ['silu', 'relu', 'elu', 'identity'], 'silu'),
    norm: json.choice('qk_norm', ['l2', 'sum'], 'l2'),
    beta: json.flag('use_beta', true),
    negativeEigenvalues: json.flag('allow_neg_eigval', false),
    gate: json.flag('use_gate', false),
    ...norm(json),
  }),
  write: (mixer, model) =>
    sameEps(mixer, model)
      ? {
          model_type: 'delta_net',
          architectures: ['DeltaNetForCausalLM'],
          num_heads: mixer.heads,
          expand_k: ratio(model.width, mixer.expandK ?? 1),
          expand_v: ratio(model.width, mixer.expandV ?? 1),
          use_short_conv: (mixer.convolution ?? 4) > 0,
          conv_size: mixer.convolution || 4,
          qk_activation: mixer.activation ?? 'silu',
          qk_norm: mixer.norm ?? 'l2',
          use_beta: mixer.beta ?? true,
          allow_neg_eigval: mixer.negativeEigenvalues ?? false,
          use_gate: mixer.gate ?? false,
          use_output_norm: true,
        }
      : undefined,
};

const gla: FlaMixer<Extract<CellConfig, { type: 'gla' }>> = {
  modelTypes: ['gla'],
  only: {
    use_short_conv: [false, undefined],
    use_gk: [true, undefined],
    use_gv: [false, undefined],
    num_kv_heads: [null, undefined],
    feature_map: [null, undefined],
  },
  read: (json) => ({
    type: 'gla',
    heads: json.number('num_heads', 4),
    expandK: json.number('expand_k', 0.5),
    expandV: json.number('expand_v', 1),
    gate: json.flag('use_output_gate', true),
    ...(json.has('clamp_min') ? { clampMin: json.number('clamp_min') } : {}),
    ...norm(json),
  }),
  write: (mixer, model) => {
    const inherent =
      (mixer.gateNormalizer ?? 16) === 16 &&
      (mixer.gateRank ?? 16) === 16 &&
      (mixer.activation ?? 'identity') === 'identity';
    if (!sameEps(mixer, model) || !inherent) return undefined;
    return {
      model_type: 'gla',
      architectures: ['GLAForCausalLM'],
      num_heads: mixer.heads,
      expand_k: ratio(model.width, mixer.expandK ?? 0.5),
      expand_v: ratio(model.width, mixer.expandV ?? 1),
      use_output_gate: mixer.gate ?? true,
      use_short_conv: false,
      clamp_min: mixer.clampMin ?? null,
    };
  },
};

const retNet: FlaMixer<Extract<CellConfig, { type: 'retnet' }>> = {
  modelTypes: ['retnet'],
  only: {
    use_short_conv: [false, undefined],
    num_kv_heads: [null, undefined],
    feature_map: [null, undefined],
  },
  read: (json) => ({
    type: 'retnet',
    heads: json.number('num_heads', 8),
    expandK: json.number('expand_k', 1),
    expandV: json.number('expand_v', 2),
    gate: json.flag('use_output_gate', true),
    ...norm(json),
  }),
  write: (mixer, model) =>
    sameEps(mixer, model)
      ? {
          model_type: 'retnet',
          architectures: ['RetNetForCausalLM'],
          num_heads: mixer.heads,
          expand_k: ratio(model.width, mixer.expandK ?? 1),
          expand_v: ratio(model.width, mixer.expandV ?? 2),
          use_output_gate: mixer.gate ?? true,
          use_short_conv: false,
        }
      : undefined,
};

const linearAttention: FlaMixer<Extract<CellConfig, { type: 'linear_attention' }>> = {
  modelTypes: ['linear_attn'],
  only: { num_kv_heads: [null, undefined] },
  read: (json) => ({
    type: 'linear_attention',
    heads: json.number('num_heads', 4),
    expandK: json.number('expand_k', 1),
    expandV: json.number('expand_v', 1),
    featureMap: json.choice(
      'feature_map',
      Object.keys(featureMaps) as FeatureMapName[],
      'elementwise_product',
    ),
    tieFeatureMaps: json.flag('tie_feature_map_qk', false),
    normalise: json.flag('norm_feature_map', false),
    normaliseQ: json.flag('norm_q', false),
    normaliseK: json.flag('norm_k', false),
    ...norm(json),
  }),
  write: (mixer, model) =>
    sameEps(mixer, model)
      ? {
          model_type: 'linear_attn',
          architectures: ['LinearAttentionForCausalLM'],
          num_heads: mixer.heads,
          expand_k: ratio(model.width, mixer.expandK ?? 1),
          expand_v: ratio(model.width, mixer.expandV ?? 1),
          feature_map: mixer.featureMap ?? 'elementwise_product',
          tie_feature_map_qk: mixer.tieFeatureMaps ?? false,
          norm_feature_map: mixer.normalise ?? false,
          norm_q: mixer.normaliseQ ?? false,
          norm_k: mixer.normaliseK ?? false,
        }
      : undefined,
};

export const flaMixers: Readonly<Record<string, FlaMixer<never>>> = {
  mom: momGatedDeltaNet,
  gated_delta_net: gatedDeltaNet,
  delta_net: deltaNet,
  gla,
  retnet: retNet,
  linear_attention: linearAttention,
};
