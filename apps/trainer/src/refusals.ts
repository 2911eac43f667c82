// What the packages find wrong with a model's mixers, under the keys of the configuration.
import { buildMixer } from '@mnemix/lm';
import { MnemixError } from '@mnemix/tensor';
import type { ModelConfig } from './config.ts';
import type { Contradiction } from './contradictions.ts';
import { headWidths, mixerOf } from './model.ts';
import { blocksOf, type BlockKind } from './plan-job.ts';

/**
 * One fault for each kind of block that cannot be built: packages tell one at a time.
 *
 * @param prefix where the model stands: nothing for the main one, else its entry in `beside`. For the flags that are advised
 */
export function refusals(model: ModelConfig, prefix: string): Contradiction[] {
  return [...new Set(blocksOf(model))].flatMap((kind) => {
    const error = refusalOf(model, kind);
    return error ? [toContradiction(error, model, prefix)] : [];
  });
}

function refusalOf(model: ModelConfig, kind: BlockKind): MnemixError | undefined {
  try {
    buildMixer(mixerOf(model, kind), model.width, { layer: 0, layers: model.layers });
    return undefined;
  } catch (error) {
    if (error instanceof MnemixError && error.code === 'config') return error;
    throw error;
  }
}

const memoryKeys = ['cell', 'memories', 'shared'];

/** Where functions say that an option is wrong: the section that it comes from, and what else it is a relation of. */
const sections = [
  { of: /^softmaxAttention\((.+)\)$/, section: 'attention', others: ['width', 'heads'] },
  { of: /^bmojo\((.+)\)$/, section: 'bmojo', others: ['width', 'heads', ...memoryKeys] },
  { of: /^memory policy \w+: (.+)$/, section: 'bmojo.eidetic.policy', others: [] },
];

function toContradiction(error: MnemixError, model: ModelConfig, prefix: string): Contradiction {
  const { where, fix } = error;
  const message = error.message.slice(where.length + 2, -fix.length - 1);
  for (const { of, section, others } of sections) {
    const [, option] = of.exec(where) ?? [];
    if (option === undefined) continue;
    const keys = [section, ...others].map((key) => `model.${key}`);
    return { where: `model.${section}.${option}`, message, fix, keys };
  }
  // A cell speaks of its own options.
  return {
    where: 'model.cell',
    message: `${where}: ${message}`,
    fix: fix + squareAdvice(model, prefix),
    keys: Object.keys(model).map((key) => `model.${key}`),
  };
}

/** Some cells want keys as wide as values: the flags that make them so, at about the same size of memory, if that is all it takes. */
function squareAdvice(model: ModelConfig, prefix: string): string {
  const { keyWidth, valueWidth } = headWidths(model);
  // Even, since positions rotate pairs of channels.
  const side = 2 * Math.max(1, Math.round(Math.sqrt(keyWidth * valueWidth) / 2));
  const isTheCure = refusalOf({ ...model, keyWidth: side, valueWidth: side }, 'memory') === undefined;
  if (keyWidth === valueWidth || !isTheCure) return '';
  return prefix === ''
    ? ` Square heads fit: --key-width ${side} --value-width ${side}.`
    : ` Square heads fit: --set ${prefix}model.keyWidth=${side} --set ${prefix}model.valueWidth=${side}.`;
}
