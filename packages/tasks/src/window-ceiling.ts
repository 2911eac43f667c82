// How much of a task a sliding window alone can answer: the null line of every recall figure. What a model reaches above it, it
// owes to memory outside its window.
import { checkInteger } from './check.ts';
import { queryDistances, type MqarSegment } from './mqar-segment.ts';
import type { Batch, SourceFacts, Split, Task } from './task.ts';

/**
 * Highest share of MQAR's labels that a model can know which sees only a window: the probability that the key stands at
 * most `window` tokens before its query, so that its value, one token later, is still inside. Lucky guesses come on top
 * ({@link taskCeiling}).
 *
 * @param window tokens seen, the current one included; l stacked windows of w see l·(w−1) + 1
 * @throws MnemixError `config` for sizes that MQAR refuses, or a window that is not a positive integer
 */
export function windowCeiling(segment: MqarSegment, window: number, exponent = 0.01): number {
  checkInteger('windowCeiling(window)', window, 1);
  return sumOf(queryDistances(segment, exponent).subarray(0, window + 1));
}

/**
 * Highest accuracy, in the mean, of a model that sees only the last `window` tokens: it knows the labels whose answer is
 * among them and guesses the others. The mean is over the examples of the split, as many of each source as its size or
 * its weight says. `undefined` where no formula is known; {@link seenShare} counts instead.
 *
 * Cost: for MQAR and its variants that of {@link queryDistances} for each source of the task, once.
 *
 * @param window tokens seen, the current one included; l stacked windows of w see l·(w−1) + 1
 * @throws MnemixError `config` for a window that is not a positive integer
 */
export function taskCeiling(task: Task, window: number, split: Split = 'test'): number | undefined {
  checkInteger('taskCeiling(window)', window, 1);
  let [total, weights] = [0, 0];
  for (const source of task.sources[split]) {
    const ceiling = sourceCeiling(source, window);
    if (ceiling === undefined) return undefined;
    const weight = source.examples ?? source.weight ?? 1;
    total += weight * ceiling;
    weights += weight;
  }
  return total / weights;
}

/**
 * The same for one source, e.g. one length or one distance of a task's tests.
 *
 * @throws MnemixError `config` for a window that is not a positive integer
 */
export function sourceCeiling({ reaches, guess = 0 }: SourceFacts, window: number): number | undefined {
  checkInteger('sourceCeiling(window)', window, 1);
  if (reaches === undefined) return undefined;
  const seen = sumOf(reaches().subarray(0, window + 1));
  return seen + (1 - seen) * guess;
}

/**
 * Share of a batch's labels whose answer is among the last `window` tokens, counted: of those labels that earlier tokens
 * answer, NaN where there are none.
 *
 * @throws MnemixError `config` for a window that is not a positive integer
 */
export function seenShare({ reach }: Pick<Batch, 'reach'>, window: number): number {
  checkInteger('seenShare(window)', window, 1);
  const labels = reach.filter((r) => r > 0);
  return labels.filter((r) => r <= window).length / labels.length;
}

const sumOf = (values: Float64Array): number => values.reduce((a, b) => a + b, 0);
