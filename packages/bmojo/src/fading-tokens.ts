// Fading tokens: outputs of the recurrence that stand, as further keys and values, for all that lies before a chunk.
import {
  add,
  cast,
  greaterEqual,
  less,
  logicalAnd,
  logicalOr,
  logicalNot,
  mul,
  range,
  reshape,
  scalar,
  sub,
  where,
  type Tensor,
  type Tensor3D,
} from '@mnemix/tensor';
import { indexOf, NOBODY, quotient, take, tableOf, type Timeline, type TokenStore } from './timeline.ts';

/**
 * Which outputs stand for the past.
 * - `tail`: the last ones before the chunk (the paper's choice)
 * - `chunkEnds`: the last ones of the chunks before it
 */
export type ChunkSource = 'tail' | 'chunkEnds';

/** The fading tokens of the chunk that a sequence's last token lies in, as they were projected: [S, count, kvH·D] each. */
export interface HeldTokens {
  readonly keys: Tensor3D;
  readonly values: Tensor3D;
  readonly [name: string]: Tensor3D;
}

export interface FadingTokens {
  /** Outputs to be projected, [S, n, count, d]; zeros where the token is held already, or there is none. */
  readonly outputs: Tensor;
  /** What the pass before held, [S, count, w], at its place among zeros: [S, n, count, w]. None at the start of sequences. */
  readonly held?: (x: Tensor3D) => Tensor;
  /** [S, n, count] */
  readonly positions: Tensor;
}

/**
 * The fading tokens of each block.
 *
 * @param outputs y, with at least `count` (`tail`) or 1 (`chunkEnds`) of the pass before
 * @param isContinued whether there was a pass before, which holds tokens
 */
export function fadingTokens(
  timeline: Timeline,
  outputs: TokenStore,
  { source, count, isContinued }: { source: ChunkSource; count: number; isContinued: boolean },
): FadingTokens {
  const { sequences, position, window, chunk, blocks } = timeline;
  const sequencesFirst = (x: Tensor): Tensor => reshape(x, [sequences.count, 1, 1]);
  const slot = reshape(range(0, count), [1, 1, count]);
  const chunks = reshape(chunk, [sequences.count, blocks, 1]);
  const before = sub(slot, count);
  const positions =
    source === 'tail' ? add(mul(chunks, window), before) : sub(mul(add(add(chunks, before), 1), window), 1);
  const history = outputs.before?.shape[1] ?? 0;
  const index = indexOf(timeline, positions, history);
  if (!isContinued) return { outputs: take(tableOf(outputs), index), positions };
  // The pass before held the tokens of the chunk that its last token lies in; those of later chunks are found among the outputs,
  // unless they are ends of chunks long ago: then they are held too, further on in the list.
  const heldChunk = sequencesFirst(quotient(sub(position, 1), window));
  const isRecent = logicalAnd(
    greaterEqual(chunks, add(heldChunk, 1)),
    greaterEqual(positions, sub(sequencesFirst(position), history)),
  );
  const place = add(slot, sub(chunks, heldChunk));
  const isHeld = logicalAnd(
    logicalAnd(logicalNot(isRecent), greaterEqual(positions, 0)),
    logicalAnd(greaterEqual(place, 0), less(place, count)),
  );
  const first = sequencesFirst(mul(range(0, sequences.count), count));
  const heldIndex = cast(where(isHeld, add(first, place), scalar(NOBODY)), 'int32');
  const isKnown = logicalOr(isHeld, greaterEqual(cast(index, 'float32'), 0));
  return {
    outputs: take(tableOf(outputs), cast(where(isRecent, cast(index, 'float32'), scalar(NOBODY)), 'int32')),
    held: (x) => take(reshape(x, [sequences.count * count, x.shape[2]]), heldIndex),
    positions: where(isKnown, positions, scalar(NOBODY)),
  };
}
