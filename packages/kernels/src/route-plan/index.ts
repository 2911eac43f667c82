// Mixture-of-Memories: which copy of which token lies where, grouped by memory and sequence.
import { checkConfig, checkDtype, checkShapes, defineOp, type Tensor, type Tensor1D } from '@mnemix/tensor';
import { sequenceTensors } from '../portable/chunk-layout.ts';
import type { Sequences } from '../sequences.ts';
import * as gpu from './gpu.ts';
import * as host from './host.ts';
import * as portable from './portable.ts';

const planOp = defineOp<portable.Inputs, portable.Outputs, portable.Attrs>({
  name: 'RoutePlan',
  outputs: portable.outputNames,
  integers: ['choices', ...sequenceTensors],
  portable: portable.forward,
  kernels: { ...host.forward, ...gpu.forward },
});

/**
 * Where the copies of routed tokens lie: in buckets, one for each memory and sequence. The buckets of a
 * memory are neighbours (bucket m·S + s), so a memory's copies are contiguous too. R tokens with K choices
 * each make R·K rows; those that padding leaves over come last.
 */
export interface RoutePlan {
  /** Row of the tokens that each bucket row copies, or −1 for a row left over, int32 [R·K]. */
  readonly source: Tensor;
  /** Bucket row of each token's j-th choice, or −1 for padding, int32 [R, K]; the shared memory is the last. */
  readonly position: Tensor;
  /** Choices of a token without that of the shared memory. */
  readonly chosen: number;
  /** The buckets, M·S of them, each in time order. */
  readonly buckets: Sequences;
  /** The memories, M of them. */
  readonly groups: Sequences;
}

export interface RoutePlanOptions {
  /** M, without the shared one. */
  readonly memories: number;
  /** One more memory, the last, which every token goes to with weight 1. Default false. */
  readonly shared?: boolean;
  /** No choice is out of range: bucket rows are then left over by padding alone. Default false. */
  readonly allRouted?: boolean;
  /** The sequences that the tokens form. */
  readonly sequences: Sequences;
}

/**
 * Plans the grouping of tokens by memory from the chosen memories, by counts and prefix sums: nothing is
 * sorted, and nothing is read back from the device. A constant to gradients.
 *
 * With hit[r, m] = 1 where token r of sequence s chose m, a copy lies at (copies in earlier buckets) +
 * (hits of m earlier in s).
 *
 * @param choices int32 [R, K]: distinct memories 0 … M−1 for each token; one out of range is not routed
 * @throws MnemixError `shape` for choices that do not fit the sequences, `config` unless 1 ≤ K ≤ M
 */
export function routePlan(
  choices: Tensor,
  { memories, shared = false, allRouted = false, sequences }: RoutePlanOptions,
): RoutePlan {
  const { K = 0 } = checkShapes('routePlan', { choices: [choices, [sequences.rows, 'K']] });
  checkDtype('routePlan(choices)', choices, 'int32');
  checkConfig(
    K >= 1 && K <= memories,
    'routePlan(choices)',
    `${K} choices of ${memories} memories.`,
    'Choose between 1 and M memories for each token.',
  );
  const { rows, count, maxLength, starts, lengths, rowSequence } = sequences;
  const all = memories + Number(shared);
  const copies = rows * (K + Number(shared));
  const plan = planOp({ choices, starts, lengths, rowSequence }, { memories: all, isShared: shared });
  const isFull = allRouted && sequences.isFull === true;
  return {
    source: plan.source,
    position: plan.position,
    chosen: K,
    buckets: {
      rows: copies,
      count: all * count,
      // No bucket is longer than its sequence, because a token's choices are distinct.
      maxLength,
      starts: plan.starts as Tensor1D,
      lengths: plan.lengths as Tensor1D,
      rowSequence: plan.rowBucket as Tensor1D,
      isFull,
    },
    groups: {
      rows: copies,
      count: all,
      maxLength: rows,
      starts: plan.groupStarts as Tensor1D,
      lengths: plan.groupLengths as Tensor1D,
      rowSequence: plan.rowGroup as Tensor1D,
      isFull,
    },
  };
}
