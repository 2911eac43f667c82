// Two result files side by side: where one differs from the other by more than seeds differ among themselves.
import canonicalize from 'canonicalize';
import jstat from 'jstat';
import { mean } from '../statistics.ts';
import type { JobRecord } from './record.ts';

/**
 * - `same`: equal accuracies, seed by seed
 * - `better`, `worse`: the second file, beyond noise and beyond the threshold
 * - `within noise`, `below threshold`: a difference, but none to speak of
 * - `not decidable`: one of the files has one seed only, so that nobody knows the noise
 * - `failed`: a training of the second file failed, none of the first
 * - `missing`: in one of the files only
 */
export type Verdict =
  | 'same'
  | 'better'
  | 'worse'
  | 'within noise'
  | 'below threshold'
  | 'not decidable'
  | 'failed'
  | 'missing';

export interface Comparison {
  readonly model: string;
  readonly size: string;
  readonly setting: string;
  readonly learningRate: number;
  /** Accuracies by seed; 0 for a training that diverged. */
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** Mean of the second file less that of the first. */
  readonly difference?: number;
  /** Of no difference, by Welch's test, corrected for how many points there are (Holm). */
  readonly p?: number;
  readonly verdict: Verdict;
  /** What else is different. */
  readonly note?: string;
}

export interface CompareOptions {
  /** The smallest difference of accuracies that matters. */
  readonly threshold: number;
  /** p below which a difference is none of noise. */
  readonly alpha: number;
  /** Whether a difference beyond the threshold counts where there is one seed only. */
  readonly oneSeedDecides: boolean;
}

/** Every point of either file, in the order of the first one, then of the second. */
export function compare(
  before: readonly JobRecord[],
  after: readonly JobRecord[],
  options: CompareOptions,
): readonly Comparison[] {
  const [left, right] = [pointsOf(before), pointsOf(after)];
  const names = [...new Set([...left.keys(), ...right.keys()])];
  const pairs = names.map((name) => pairOf(left.get(name) ?? [], right.get(name) ?? []));
  const corrected = holm(pairs.map(({ p }) => p));
  return pairs.map((pair, i) => judged(pair, corrected[i], options));
}

function pointsOf(records: readonly JobRecord[]): Map<string, JobRecord[]> {
  const points = new Map<string, JobRecord[]>();
  for (const record of records) {
    const { model, size, setting, training } = record.job;
    const name = JSON.stringify([model, size, setting, training.learningRate]);
    points.set(name, [...(points.get(name) ?? []), record]);
  }
  for (const point of points.values()) point.sort((a, b) => a.job.seed - b.job.seed);
  return points;
}

/** A failure says nothing of the model; a divergence does. */
const accuraciesOf = (records: readonly JobRecord[]): readonly number[] =>
  records.flatMap(({ outcome }) =>
    outcome.status === 'done' ? [outcome.accuracy] : outcome.status === 'diverged' ? [0] : [],
  );

/** Unbiased. */
const variance = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + (value - mean(values)) ** 2, 0) / (values.length - 1);

interface Pair extends Omit<Comparison, 'verdict'> {
  /** Before the correction. */
  readonly p?: number;
  readonly hasFailed: boolean;
  readonly isSame: boolean;
}

function pairOf(left: readonly JobRecord[], right: readonly JobRecord[]): Pair {
  const { model, size, setting, training } = (left[0] ?? (right[0] as JobRecord)).job;
  const [before, after] = [accuraciesOf(left), accuraciesOf(right)];
  const isBoth = before.length > 0 && after.length > 0;
  const failures = (records: readonly JobRecord[]): number =>
    records.filter(({ outcome }) => outcome.status === 'failed').length;
  const seedsOf = (records: readonly JobRecord[]): string => records.map(({ job }) => job.seed).join();
  const p = welch(before, after);
  const note = noteOf(left, right);
  return {
    model,
    size,
    setting,
    learningRate: training.learningRate,
    before,
    after,
    ...(isBoth ? { difference: mean(after) - mean(before) } : {}),
    ...(p === undefined ? {} : { p }),
    ...(note === '' ? {} : { note }),
    hasFailed: failures(right) > 0 && failures(left) === 0 && left.length > 0,
    isSame: isBoth && seedsOf(left) === seedsOf(right) && before.join() === after.join(),
  };
}

/** What the jobs differ in beside the seed, and how many trainings diverged. */
function noteOf(left: readonly JobRecord[], right: readonly JobRecord[]): string {
  const configurations = (records: readonly JobRecord[]): Set<string | undefined> =>
    new Set(records.map(({ job }) => canonicalize({ ...job, seed: 0 })));
  const diverged = (records: readonly JobRecord[]): number =>
    records.filter(({ outcome }) => outcome.status === 'diverged').length;
  const isOther = left.length > 0 && right.length > 0 && configurations([...left, ...right]).size > 1;
  const [first, second] = [diverged(left), diverged(right)];
  return [
    ...(isOther ? ['other configuration'] : []),
    ...(first + second > 0 ? [`diverged: ${first}, ${second}`] : []),
  ].join('; ');
}

/**
 * p of two samples with different variances having the same mean (Welch 1947), two-sided; undefined where one has less than two
 * values, which tell nothing of their variance.
 */
export function welch(a: readonly number[], b: readonly number[]): number | undefined {
  if (a.length < 2 || b.length < 2) return undefined;
  const [errorA, errorB] = [variance(a) / a.length, variance(b) / b.length];
  const difference = mean(a) - mean(b);
  if (errorA + errorB === 0) return difference === 0 ? 1 : 0;
  const t = Math.abs(difference) / Math.sqrt(errorA + errorB);
  const degrees = (errorA + errorB) ** 2 / (errorA ** 2 / (a.length - 1) + errorB ** 2 / (b.length - 1));
  return 2 * jstat.studentt.cdf(-t, degrees);
}

/** The p of several tests such that the chance of any false alarm at all stays below them (Holm 1979). */
export function holm(values: readonly (number | undefined)[]): readonly (number | undefined)[] {
  const known = values.flatMap((p, i) => (p === undefined ? [] : [{ p, i }])).sort((a, b) => a.p - b.p);
  const corrected = new Map<number, number>();
  let least = 0;
  known.forEach(({ p, i }, rank) => {
    least = Math.max(least, Math.min(1, p * (known.length - rank)));
    corrected.set(i, least);
  });
  return values.map((_, i) => corrected.get(i));
}

function judged(
  { hasFailed, isSame, p: _, ...pair }: Pair,
  p: number | undefined,
  { threshold, alpha, oneSeedDecides }: CompareOptions,
): Comparison {
  const { difference } = pair;
  const of = (verdict: Verdict): Comparison => ({ ...pair, ...(p === undefined ? {} : { p }), verdict });
  if (hasFailed) return of('failed');
  if (difference === undefined) return of('missing');
  if (isSame) return of('same');
  const direction = difference > 0 ? 'better' : 'worse';
  if (p === undefined)
    return of(oneSeedDecides && Math.abs(difference) > threshold ? direction : 'not decidable');
  if (p > alpha) return of('within noise');
  return of(Math.abs(difference) > threshold ? direction : 'below threshold');
}

const percent = (value: number): string => (100 * value).toFixed(1);

/** Mean ± standard deviation (seeds). */
function sampleText(values: readonly number[]): string {
  if (values.length === 0) return '–';
  return values.length === 1
    ? `${percent(values[0] as number)} (1)`
    : `${percent(mean(values))} ± ${percent(Math.sqrt(variance(values)))} (${values.length})`;
}

/** The comparison as Markdown: accuracies in percent. */
export function formatComparison(
  comparisons: readonly Comparison[],
  { threshold, alpha }: Pick<CompareOptions, 'threshold' | 'alpha'>,
): string {
  const counts = new Map<Verdict, number>();
  for (const { verdict } of comparisons) counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
  return [
    '| model | size | task | learning rate | before, % | after, % | difference | p | verdict |',
    '|---|---|---|---|---|---|---|---|---|',
    ...comparisons.map(
      ({ model, size, setting, learningRate, before, after, difference, p, verdict, note }) =>
        [
          '',
          ` ${model} `,
          ` ${size} `,
          ` ${setting} `,
          ` ${learningRate} `,
          ` ${sampleText(before)} `,
          ` ${sampleText(after)} `,
          ` ${difference === undefined ? '' : `${difference >= 0 ? '+' : '−'}${percent(Math.abs(difference))}`} `,
          ` ${p === undefined ? '' : p.toPrecision(2)} `,
          ` ${verdict}${note ? ` (${note})` : ''} `,
          '',
        ].join('|'),
    ),
    '',
    `${[...counts].map(([verdict, n]) => `${n} ${verdict}`).join(', ')}. Accuracies are mean ± standard deviation (seeds); ` +
      `p by Welch's test over seeds, corrected for the number of points (Holm); better and worse are beyond ` +
      `${percent(threshold)} points at p ≤ ${alpha}.`,
    '',
  ].join('\n');
}

/** Whether the second file lost something. */
export const isWorse = (comparisons: readonly Comparison[]): boolean =>
  comparisons.some(({ verdict }) => verdict === 'worse' || verdict === 'failed');
