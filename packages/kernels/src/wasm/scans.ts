// What the bindings of the SIMD scans share.

/** Tokens that the forward pass copies to its working format at a time: few enough to stay in the first-level cache. */
export const FORWARD_SEGMENT = 32;

/**
 * The same of the backward pass, which keeps all states of a segment, and one state for each segment. Short segments stay
 * in cache; √T / 4 tokens keep the memory of very long sequences in bounds.
 */
export const backwardSegment = (maxLength: number): number =>
  Math.min(128, Math.max(16, Math.ceil(Math.sqrt(maxLength) / 4)));

type Shape = readonly number[];

export interface ScanWidths {
  readonly heads: number;
  readonly dk: number;
  readonly dv: number;
  /** Gates of a token: 0 without decay, 1, or dk. */
  readonly gates: number;
}

export function scanWidths(shapes: { q: Shape; v: Shape; logDecay?: Shape | undefined }): ScanWidths {
  const [, heads = 0, dk = 0] = shapes.q;
  return { heads, dk, dv: shapes.v[2] ?? 0, gates: shapes.logDecay ? (shapes.logDecay[2] ?? 1) : 0 };
}
