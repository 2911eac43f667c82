// Which unseen sequences are asked for what. What a model is judged by in the end has decided nothing before.
import type { Task } from '@mnemix/tasks';
import { MnemixError } from '@mnemix/tensor';

/**
 * `judge`: the same sequences after every so many steps, for the curve and the best checkpoint; `confirm`: others
 * each time, whether the target is reached; `final`: how good the model is.
 */
export type Purpose = 'judge' | 'confirm' | 'final';

/** Where a task has only so many sequences to hold out, each purpose has a stretch of them: shares of the whole. */
const stretches: Readonly<Record<Purpose, readonly [from: number, to: number]>> = {
  judge: [0, 1 / 4],
  confirm: [1 / 4, 1 / 2],
  final: [1 / 2, 1],
};

export interface HeldOutRequest {
  readonly purpose: Purpose;
  /** How many; fewer where the task has no more. */
  readonly sequences: number;
  /** Sequences at a time. */
  readonly batch: number;
  /**
   * Which of them, where a stretch holds several times as many as are asked for: rounds follow each other through the
   * stretch, and begin again at its end.
   */
  readonly round?: number;
}

/** Consecutive batches of the split `test`. */
export interface HeldOutBatches {
  readonly first: number;
  readonly count: number;
  /** Sequences in a batch. */
  readonly size: number;
}

/**
 * The batches for a purpose. A task that makes new sequences without end tells purposes and rounds apart by the random
 * key, which is the caller's; here its batches are simply the first ones.
 *
 * @throws MnemixError `value` where there are too few sequences to tell the purposes apart
 */
export function heldOutBatches(
  task: Task,
  { purpose, sequences, batch, round = 0 }: HeldOutRequest,
): HeldOutBatches {
  const all = task.batchesPerEpoch(1, 'test');
  if (all === Infinity) return { first: 0, count: Math.ceil(sequences / batch), size: batch };
  if (all < 4) {
    throw new MnemixError({
      code: 'value',
      where: `task ${task.name}`,
      message: `it holds out only ${all} sequences; to judge, to confirm and to measure takes at least 4.`,
      fix: 'Use a longer text, or a smaller task.tokens.',
    });
  }
  // Small enough for a batch in every stretch, and the same for all of them, so that none reaches into the next.
  const size = Math.min(batch, Math.floor(all / 4));
  const batches = task.batchesPerEpoch(size, 'test');
  const [from, to] = stretches[purpose].map((share) => Math.floor(share * batches)) as [number, number];
  const count = Math.min(Math.ceil(sequences / size), to - from);
  const rounds = Math.floor((to - from) / count);
  return { first: from + (round % rounds) * count, count, size };
}
