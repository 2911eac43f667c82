// fla's hybrids: a model of one cell, some of whose layers are softmax attention, under the key `attn`.
import { MnemixError } from '@mnemix/tensor';
import { mixerOf, type AttentionMixerConfig, type LmConfig, type MixerConfig } from '../config.ts';
import type { FlaReader } from './reader.ts';

/** The mixers of a model: the cell alone, or a list with attention in the layers that `attn` names. */
export function readHybrid(
  json: FlaReader,
  cell: MixerConfig,
  layers: number,
  where: string,
): MixerConfig | readonly MixerConfig[] {
  if (!json.has('attn')) return cell;
  const attn = json.below('attn');
  const chosen = attn.value('layers');
  if (
    !Array.isArray(chosen) ||
    !chosen.every((layer) => Number.isInteger(layer) && layer >= 0 && layer < layers)
  )
    throw new MnemixError({
      code: 'checkpoint',
      where: `${where}: attn.layers`,
      message: `expected a list of layers from 0 to ${layers - 1}, found ${JSON.stringify(chosen)}.`,
      fix: 'Restore the configuration that the checkpoint was saved with.',
    });
  const heads = attn.count('num_heads');
  const attention: AttentionMixerConfig = {
    type: 'attention',
    heads,
    kvHeads: attn.count('num_kv_heads', heads),
    ropeBase: attn.number('rope_theta', 10000),
    qkvBias: attn.flag('qkv_bias', false),
    ...(attn.has('window_size') ? { window: attn.count('window_size') } : {}),
  };
  return Array.from({ length: layers }, (_, layer) => (chosen.includes(layer) ? attention : cell));
}

/** The cell of a model, and its `attn`; undefined where fla has no such mixture of mixers. */
export function writeHybrid(
  config: LmConfig,
): { cell: Exclude<MixerConfig, AttentionMixerConfig>; attn: Record<string, unknown> | null } | undefined {
  const mixers = Array.from({ length: config.layers }, (_, layer) => mixerOf(config, layer));
  const isAttention = (mixer: MixerConfig): mixer is AttentionMixerConfig => mixer.type === 'attention';
  const attentions = mixers.filter(isAttention);
  const cells = mixers.filter((mixer) => !isAttention(mixer)) as Exclude<MixerConfig, AttentionMixerConfig>[];
  const areAlike = (list: readonly MixerConfig[]) =>
    new Set(list.map((mixer) => JSON.stringify(mixer))).size <= 1;
  const [cell] = cells;
  const [attention] = attentions;
  if (cell === undefined || !areAlike(cells) || !areAlike(attentions)) return undefined;
  if (attention === undefined) return { cell, attn: null };
  const { heads, kvHeads = heads, window, ropeBase = 10000, qkvBias = false, qkNorm, headWidth } = attention;
  const isOdd = qkNorm || ropeBase === 0 || (headWidth ?? config.width / heads) !== config.width / heads;
  if (isOdd) return undefined;
  return {
    cell,
    attn: {
      layers: mixers.flatMap((mixer, layer) => (isAttention(mixer) ? [layer] : [])),
      num_heads: heads,
      num_kv_heads: kvHeads,
      window_size: window ?? null,
      rope_theta: ropeBase,
      qkv_bias: qkvBias,
    },
  };
}
