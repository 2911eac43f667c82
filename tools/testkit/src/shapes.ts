/** Shapes that catch what round numbers hide. Suites run over all of them with `it.each(oddShapes)`. */

/** Sizes of a batch of multi-head sequences. */
export interface SequenceShape {
  /** For test titles: `B2 T15 H3 dk5 dv7`. */
  readonly name: string;
  readonly batch: number;
  readonly tokens: number;
  readonly heads: number;
  readonly keyWidth: number;
  readonly valueWidth: number;
}

/**
 * One token; two; below, at and above multiples of the usual chunk lengths; widths that are no multiples of
 * 4.
 */
export const oddShapes: readonly SequenceShape[] = [
  { batch: 2, tokens: 1, heads: 3, keyWidth: 5, valueWidth: 7 },
  { batch: 3, tokens: 2, heads: 1, keyWidth: 1, valueWidth: 3 },
  { batch: 2, tokens: 15, heads: 3, keyWidth: 7, valueWidth: 5 },
  { batch: 1, tokens: 64, heads: 2, keyWidth: 16, valueWidth: 9 },
  { batch: 2, tokens: 75, heads: 1, keyWidth: 6, valueWidth: 13 },
  { batch: 1, tokens: 131, heads: 2, keyWidth: 9, valueWidth: 6 },
].map((s) => ({
  ...s,
  name: `B${s.batch} T${s.tokens} H${s.heads} dk${s.keyWidth} dv${s.valueWidth}`,
}));
