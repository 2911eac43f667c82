// Which parameters are treated how.
import type { Tensor } from '@mnemix/tensor';

/** Settings of AdamW that may differ from parameter to parameter. */
export interface GroupSettings {
  /** Decoupled weight decay λ: a step takes away learning rate · λ of the parameter. */
  readonly weightDecay?: number;
  /** Multiplies the learning rate. */
  readonly learningRateScale?: number;
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
}

/** Settings for the parameters that `match` picks by path name, such as `layers.0.attn.q_proj.weight`. */
export interface ParameterGroup extends GroupSettings {
  readonly match: (path: string, param: Tensor) => boolean;
}

const UNDECAYED_NAME = /(^|\.)(A_log|dt_bias|bias|L|lower_bounds)$|(^|[._])norm\.weight$/;
const EMBEDDING = /(^|\.)embed\w*\.weight$/;

/**
 * The usual exemption from weight decay: gates' `A_log` and `dt_bias`, scales `L` of
 * levels, bounds that layers share, norms, biases, and whatever else has fewer
 * than two axes. Embeddings are decayed unless told otherwise.
 */
export function standardGroups({ decayEmbeddings = true } = {}): readonly ParameterGroup[] {
  const isExempt = (path: string, param: Tensor): boolean =>
    param.rank < 2 || UNDECAYED_NAME.test(path) || (!decayEmbeddings && EMBEDDING.test(path));
  return [{ match: isExempt, weightDecay: 0 }];
}

/** The settings for one parameter: of all groups that match, the later one's word counts. */
export function settingsFor(
  path: string,
  param: Tensor,
  groups: readonly ParameterGroup[],
  defaults: Required<GroupSettings>,
): Required<GroupSettings> {
  return groups
    .filter((group) => group.match(path, param))
    .reduce((settings, group) => ({ ...settings, ...group }), defaults);
}
