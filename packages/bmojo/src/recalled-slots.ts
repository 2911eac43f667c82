// What an archive brings back, on its way into the state: entries in host arrays, then in tensors, and the sizes of it all.
import type { StateShape } from '@mnemix/layers';
import {
  less,
  reshape,
  scalar,
  tensor2d,
  tensor3d,
  tidy,
  where,
  type Tensor,
  type Tensor2D,
  type Tensor3D,
} from '@mnemix/tensor';
import type { BmojoState, RecalledState } from './state.ts';
import type { EideticState } from './eidetic.ts';
import type { Entry } from './entry.ts';
import { NOBODY } from './timeline.ts';

/** What the slots are to hold, as host arrays. */
export type Recalled = Record<'keys' | 'values' | 'positions', Float32Array>;

/** Of a layer's state. */
export interface Sizes {
  readonly sequences: number;
  /** Slots of the eidetic memory. */
  readonly held: number;
  /** Tokens of a slot. */
  readonly tokens: number;
  /** kvH·D */
  readonly width: number;
}

export function sizesOf(position: Tensor, { keys, positions }: EideticState): Sizes {
  const held = positions.shape[1];
  return {
    sequences: position.shape[0] as number,
    held,
    tokens: Math.floor(keys.shape[1] / held),
    width: keys.shape[2],
  };
}

/** The parts of the state that an archive looks at. */
export const shapeOf = ({ sequences, held, tokens, width }: Sizes, slots: number): StateShape => {
  const slotted = (count: number): StateShape => ({
    keys: [sequences, count * tokens, width],
    values: [sequences, count * tokens, width],
    positions: [sequences, count],
  });
  return {
    position: [sequences],
    eidetic: { ...slotted(held), scores: [sequences, held] },
    recalled: slotted(slots),
  };
};

/** Numbers of all sequences, sequence by sequence. */
export const perSequence = (all: Float32Array, sequences: number): Float32Array[] =>
  Array.from({ length: sequences }, (_, s) =>
    all.subarray((s * all.length) / sequences, ((s + 1) * all.length) / sequences),
  );

/** Entries of each sequence, in slots; those that are left are empty. */
export function inSlots(
  entries: readonly (readonly Entry[])[],
  { tokens, width }: Sizes,
  slots: number,
): Recalled {
  const size = tokens * width;
  const keys = new Float32Array(entries.length * slots * size);
  const values = new Float32Array(keys.length);
  const positions = new Float32Array(entries.length * slots).fill(NOBODY);
  for (const [s, ofSequence] of entries.entries()) {
    for (const [i, entry] of ofSequence.entries()) {
      keys.set(entry.keys, (s * slots + i) * size);
      values.set(entry.values, (s * slots + i) * size);
      positions[s * slots + i] = entry.position;
    }
  }
  return { keys, values, positions };
}

/** The slots as tensors. A state older than the one that they were read for does not see what comes after it. */
export const toState = (
  { keys, values, positions }: Recalled,
  { position }: BmojoState,
  { sequences, tokens, width }: Sizes,
  slots: number,
): RecalledState =>
  tidy(() => {
    const shape: [number, number, number] = [sequences, slots * tokens, width];
    const back: Tensor = tensor2d(positions, [sequences, slots]);
    const isPast = less(back, reshape(position, [sequences, 1]));
    return {
      keys: tensor3d(keys, shape) as Tensor3D,
      values: tensor3d(values, shape) as Tensor3D,
      positions: where(isPast, back, scalar(NOBODY)) as Tensor2D,
    };
  });
