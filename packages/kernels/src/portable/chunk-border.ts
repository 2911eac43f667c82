// Chunks whose borders count from a sequence's first token, across calls: where in them a sequence ends.
import { add, cast, div, floor, mul, stopGradient, sub, type Tensor } from '@mnemix/tensor';

export interface ChunkBorder {
  /** The chunk that the token after the last one belongs to, counted as `chunkLayout` does: float32 [S]. */
  readonly chunk: Tensor;
  /** How many tokens of that chunk the sequence has seen: 0 … chunkSize − 1, float32 [S]. A constant. */
  readonly phase: Tensor;
}

/**
 * @param lengths int32 [S]
 * @param phase [S] tokens of its first chunk that each sequence has behind it; 0 if left out
 */
export function chunkBorder(lengths: Tensor, chunkSize: number, phase?: Tensor): ChunkBorder {
  const length = cast(lengths, 'float32');
  const end = phase ? add(length, stopGradient(phase)) : length;
  // Half a token keeps the division clear of rounding.
  const chunk = floor(div(add(end, 0.5), chunkSize));
  return { chunk, phase: sub(end, mul(chunk, chunkSize)) };
}
