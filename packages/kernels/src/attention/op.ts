// What the attention op is made of: its tensors by name, and the plain numbers beside them.
import type { Tensor } from '@mnemix/tensor';
import type { SequenceSizes } from '../portable/chunk-layout.ts';

/**
 * `starts`, `lengths`, `rowSequence`, `position`; `queries0`, `queries1`, …, each once; and of group g `keys<g>`, `values<g>`, with
 * `keysBefore<g>`, `valuesBefore<g>` of the cache, or with `positions<g>` and `farKeys<g>` of what blocks share.
 */
export type Inputs = Record<string, Tensor | undefined>;

/** The inputs, `o`, `dO`, and what the forward pass has left: `weights` or `logSumExp`. */
export type BackwardInputs = Inputs;

export type Outputs = {
  /** [N, H·D]. */
  o: Tensor;
  /** ln Σ e^score of each query and head, [N, H]; without elements where `weights` are kept. */
  logSumExp: Tensor;
  /** Of the portable form, [S·n, H, b, Σm]; without elements elsewhere. */
  weights: Tensor;
};

export interface Group {
  /** Keys of the tokens, in rows and cache, or those that blocks of queries share. */
  readonly kind: 'tokens' | 'blocks';
  /** Which of the `queries`. */
  readonly queries: number;
  readonly nearest: number;
  /** May be Infinity. */
  readonly farthest: number;
  /** From distance `from` on, `farKeys` are asked, by these of the `queries`. */
  readonly far?: { readonly from: number; readonly queries: number } | undefined;
}

export type Attrs = SequenceSizes & {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headWidth: number;
  readonly scale: number;
  /** Tokens of a block that shares keys; left out, there is none. */
  readonly block: number | undefined;
  readonly groups: readonly Group[];
};

/** Blocks of queries that a sequence may take part in; where it is continued, the first may have begun before. */
export const blocksOf = (maxLength: number, block: number, isContinued: boolean): number =>
  Math.ceil((maxLength + (isContinued ? block - 1 : 0)) / block);
