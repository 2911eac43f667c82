// Ours beside the published points at the same protocol.
import { cellEntry } from '@mnemix/cells';
import { stateBytes } from '@mnemix/layers';
import { mixerOf } from '@mnemix/lm';
import type { Job } from '../sweep/record.ts';
import { judgedSegments } from './ceilings.ts';
import type { Point } from './points.ts';
import { recallMemorySweep, recallMemoryTests, recallMemoryVocabulary } from './published.ts';

export interface Comparison {
  readonly point: Point;
  /** Ours, counted as theirs are: without what the cells' own short convolutions keep. */
  readonly stateBytes: number;
  readonly published: { readonly model: string; readonly stateBytes: number; readonly accuracy: number };
  /** Ours less theirs. */
  readonly difference: number;
  /** Beyond {@link NOTICEABLE}. */
  readonly differs: boolean;
}

/** Differences from here on want a cause. */
export const NOTICEABLE = 0.05;
/** States count as equal within this share: the published sizes are read off a figure. */
const SAME_SIZE = 0.1;

/** Whether a job is judged as the published sweep was: the same seven kinds of sequences, vocabulary and fill. */
function isRecallMemoryProtocol(job: Job): boolean {
  const segments = judgedSegments(job).map(({ tokens, pairs }) => `${tokens}/${pairs}`);
  const specs = [job.task, ...Object.values(job.tests ?? {})];
  return (
    segments.join() === recallMemoryTests.map(({ tokens, pairs }) => `${tokens}/${pairs}`).join() &&
    specs.every(
      (spec) =>
        spec.type === 'mqar' &&
        (spec.vocabSize ?? recallMemoryVocabulary) === recallMemoryVocabulary &&
        (spec.fill ?? 'random') === 'random',
    )
  );
}

/**
 * Bytes of the last inputs that the cells' short convolutions keep. The published sizes leave them out, but count those of the gated
 * convolution below: DeltaNet of width 64 is said to have 8.9k, a memory of 8,192 bytes and 768 of that convolution.
 */
function shortConvolutionBytes({ lm }: Job): number {
  let bytes = 0;
  for (let layer = 0; layer < lm.layers; layer++) {
    const { type, ...options } = mixerOf(lm, layer);
    if (['attention', 'bmojo', 'convolution', 'mom'].includes(type)) continue;
    const { create } = cellEntry('mixer.type', type);
    const { window = [0], windows = {} } = create({ ...options, width: lm.width }).stateShape(1);
    bytes += stateBytes({ window, windows });
  }
  return bytes;
}

/** Every point of ours that has a published one of its family and state size at the same protocol. */
export function compareWithPublished(points: readonly Point[]): readonly Comparison[] {
  return points.flatMap((point) => {
    const { job } = point.records[0] as Point['records'][number];
    if (!isRecallMemoryProtocol(job)) return [];
    const ours = point.stateBytes - shortConvolutionBytes(job);
    const line = recallMemorySweep.find(({ family }) => family === point.family);
    const near = (line?.points ?? [])
      .map(([stateBytes, accuracy]) => ({ model: line?.model as string, stateBytes, accuracy }))
      .filter((each) => Math.abs(Math.log(each.stateBytes / ours)) <= Math.log(1 + SAME_SIZE));
    return near.map((published) => {
      const difference = point.mean - published.accuracy;
      return { point, stateBytes: ours, published, difference, differs: Math.abs(difference) > NOTICEABLE };
    });
  });
}
