// What a window alone can answer, as a line through the same axes: whatever stands above it is owed to memory outside of the window.
import { taskCeiling, taskOf, type MqarSegment } from '@mnemix/tasks';
import type { Job } from '../sweep/record.ts';

export interface Ceiling {
  /** d of the window's keys and values. */
  readonly width: number;
  readonly line: readonly (readonly [stateBytes: number, accuracy: number])[];
}

const FLOAT_BYTES = 4;

/** The segments of associative recall that a job is judged on; none where it is judged on something else. */
export function judgedSegments({ task, tests }: Job): readonly MqarSegment[] {
  const specs = tests ? Object.values(tests) : [task];
  return specs.flatMap((spec) => (spec.type === 'mqar' ? (spec.testSegments ?? spec.segments) : []));
}

/**
 * The share of labels that a window of w tokens can answer, against the bytes of one layer's keys and values, 2·d·w floats: the null
 * line of Arora et al. 2024. `undefined` where no formula is known.
 *
 * @param jobs of one setting; the narrowest of their models has the most favourable line
 */
export function ceilingOf(jobs: readonly Job[]): Ceiling | undefined {
  const [first] = jobs;
  if (first === undefined) return undefined;
  const tasks = (first.tests ? Object.values(first.tests) : [first.task]).map(taskOf);
  const width = Math.min(...jobs.map(({ lm }) => lm.width));
  const longest = Math.max(...tasks.map(({ tokens }) => tokens));
  const steps = Math.ceil(2 * Math.log2(longest)) + 1;
  const windows = new Set(
    Array.from({ length: steps }, (_, i) => Math.min(longest, Math.round(2 ** (i / 2)))),
  );
  const line: [number, number][] = [];
  for (const window of windows) {
    let sum = 0;
    for (const task of tasks) {
      const ceiling = taskCeiling(task, window);
      if (ceiling === undefined) return undefined;
      sum += ceiling;
    }
    line.push([2 * width * window * FLOAT_BYTES, sum / tasks.length]);
  }
  return { width, line };
}
