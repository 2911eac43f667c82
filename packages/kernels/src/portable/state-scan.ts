// The one part of the chunk forms that runs chunk after chunk.
import { add, concat, mul, split, type Tensor } from '@mnemix/tensor';

/** Chunks of `lanes` rows each, in time order. */
export const perChunk = (x: Tensor, lanes: number): Tensor[] => split(x, (x.shape[0] as number) / lanes, 0);

/** whole ⊙ state, where there is decay. */
export const decayed = (state: Tensor, whole: Tensor | undefined): Tensor =>
  whole ? mul(state, whole) : state;

export interface StateScan {
  /** The state that each chunk receives, [P, dk, dv]. */
  readonly entering: Tensor;
  /** The state after the last one, [S·H, dk, dv]. */
  readonly final: Tensor;
}

/**
 * S ← whole ⊙ S + writes, chunk after chunk; backwards in time for the gradient of the state.
 *
 * @param writes [P, dk, dv]
 * @param whole [P, dk or 1, 1]
 * @param initial [S·H, dk, dv]
 */
export function scanStates(
  writes: Tensor,
  whole: Tensor | undefined,
  initial: Tensor,
  { reverse = false } = {},
): StateScan {
  const lanes = initial.shape[0] as number;
  const written = perChunk(writes, lanes);
  const decays = whole && perChunk(whole, lanes);
  const entering: Tensor[] = [];
  let state = initial;
  for (const chunk of chunkOrder(written.length, reverse)) {
    entering[chunk] = state;
    state = add(decayed(state, decays?.[chunk]), written[chunk] as Tensor);
  }
  return { entering: concat(entering, 0), final: state };
}

/** 0 … count−1, or the other way round. */
export const chunkOrder = (count: number, reverse: boolean): number[] =>
  Array.from({ length: count }, (_, i) => (reverse ? count - 1 - i : i));
