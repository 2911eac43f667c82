// What fla calls the parameters of models that do not follow its common scheme. Ours do, whatever the mixer is.
import { cells } from '@mnemix/cells';
import { mixerOf, type LmConfig } from '../config.ts';

type Rename = readonly [ours: RegExp, theirs: string];

const mamba: readonly Rename[] = [
  [/^model\.embeddings\./, 'backbone.embeddings.'],
  [/^model\.layers\.(\d+)\.attn_norm\./, 'backbone.layers.$1.norm.'],
  [/^model\.layers\.(\d+)\.attn\./, 'backbone.layers.$1.mixer.'],
  [/^model\.norm\./, 'backbone.norm_f.'],
];

const rwkv: readonly Rename[] = [
  [/^model\.layers\.(\d+)\.mlp_norm\./, 'model.layers.$1.ffn_norm.'],
  [/^model\.layers\.(\d+)\.mlp\./, 'model.layers.$1.ffn.'],
];

/** Name of a parameter in a checkpoint's file, by its path in the parameter tree. */
export function parameterName(config: LmConfig): (path: string) => string {
  const renames = renamesOf(config);
  return (path) => {
    const rename = renames.find(([ours]) => ours.test(path));
    return rename ? path.replace(...rename) : path;
  };
}

function renamesOf(config: LmConfig): readonly Rename[] {
  if (config.norm === 'layer') return rwkv;
  const { type } = mixerOf(config, 0);
  const block = Object.hasOwn(cells, type) ? cells[type as keyof typeof cells].block : undefined;
  return block === 'mamba' && config.mlp === null ? mamba : [];
}
