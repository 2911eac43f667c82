// Ours beside the published points at the same protocol.
import type { Job } from '../sweep/record.ts';
import { judgedSegments } from './ceilings.ts';
import type { Point } from './points.ts';
import { recallMemorySweep, recallMemoryTests, recallMemoryVocabulary } from './published.ts';

export interface Comparison {
  readonly point: Point;
  readonly published: { readonly model: string; readonly stateBytes: number; readonly accuracy: number };
  /** Ours less theirs. */
  readonly difference: number;
  /** Beyond {@link NOTICEABLE}. */
  readonly differs: boolean;
}

/** Differences from here on want a cause. */
export const NOTICEABLE = 0.05;
/** States count as equal within this share: the published sizes are read off a figure, and ours count what a step really carries. */
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

/** Every point of ours that has a published one of its family and state size at the same protocol. */
export function compareWithPublished(points: readonly Point[]): readonly Comparison[] {
  return points.flatMap((point) => {
    if (!isRecallMemoryProtocol((point.records[0] as Point['records'][number]).job)) return [];
    const line = recallMemorySweep.find(({ family }) => family === point.family);
    const near = (line?.points ?? [])
      .map(([stateBytes, accuracy]) => ({ model: line?.model as string, stateBytes, accuracy }))
      .filter(
        ({ stateBytes }) => Math.abs(Math.log(stateBytes / point.stateBytes)) <= Math.log(1 + SAME_SIZE),
      );
    return near.map((published) => {
      const difference = point.mean - published.accuracy;
      return { point, published, difference, differs: Math.abs(difference) > NOTICEABLE };
    });
  });
}
