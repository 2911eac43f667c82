// From records to points of a figure: one for each model, size and setting, at the training that serves it best.
import type { Done, Job, JobRecord } from '../sweep/record.ts';
import { mean, spread, type Spread } from '../statistics.ts';

export interface Point {
  readonly family: string;
  readonly model: string;
  readonly size: string;
  readonly setting: string;
  /** Of the best training of those tried, by the mean over seeds. */
  readonly learningRate: number;
  readonly weightDecay: number;
  /** How many were tried: learning rates, times weight decays where several are. */
  readonly trainings: number;
  readonly seeds: number;
  /** Over seeds of that training; a training that came to nothing counts as 0. */
  readonly mean: number;
  readonly accuracy: Spread;
  /** Mean over seeds, by test. */
  readonly accuracies: Readonly<Record<string, number>>;
  /** Steps until the best evaluation, over seeds. */
  readonly steps: Spread;
  readonly stateBytes: number;
  readonly parameters: number;
  readonly activatedParameters: number;
  /** Seconds of training, over seeds. */
  readonly seconds: Spread;
  /** Those of the best training that ended well. */
  readonly records: readonly (JobRecord & { readonly outcome: Done })[];
}

export interface Lost {
  readonly job: Job;
  readonly status: 'diverged' | 'failed';
  readonly message: string;
}

export interface Summary {
  /** In the order in which settings and models first come. */
  readonly points: readonly Point[];
  /** Every job that came to nothing, with its cause. */
  readonly lost: readonly Lost[];
}

type DoneRecord = Point['records'][number];

/** Groups records by setting, model and size, and takes the best training of each. */
export function summarize(records: readonly JobRecord[]): Summary {
  const groups = groupBy(records, ({ job }) => JSON.stringify([job.setting, job.model, job.size]));
  return {
    points: [...groups.values()].flatMap((group) => pointOf(group) ?? []),
    lost: records.flatMap(({ job, outcome }) =>
      outcome.status === 'done' ? [] : [{ job, status: outcome.status, message: outcome.cause.message }],
    ),
  };
}

function pointOf(group: readonly JobRecord[]): Point | undefined {
  const byTraining = groupBy(group, ({ job }) => JSON.stringify(job.training));
  const meanOf = (records: readonly JobRecord[]): number => mean(records.map(accuracyOf));
  const chosen = [...byTraining.values()].reduce((best, next) => (meanOf(next) > meanOf(best) ? next : best));
  const done = chosen.filter((record): record is DoneRecord => record.outcome.status === 'done');
  const first = done[0];
  if (first === undefined) return undefined;
  const { family, model, size, setting, training } = first.job;
  const { stateBytes, parameters, activatedParameters, accuracies } = first.outcome;
  const of = (pick: (outcome: Done) => number): number[] => done.map(({ outcome }) => pick(outcome));
  return {
    family,
    model,
    size,
    setting,
    learningRate: training.learningRate,
    weightDecay: training.weightDecay,
    trainings: byTraining.size,
    seeds: chosen.length,
    mean: meanOf(chosen),
    accuracy: spread(chosen.map(accuracyOf)),
    accuracies: Object.fromEntries(
      Object.keys(accuracies).map((test) => [test, mean(of((outcome) => outcome.accuracies[test] ?? 0))]),
    ),
    steps: spread(of(({ steps }) => steps)),
    stateBytes,
    parameters,
    activatedParameters,
    seconds: spread(of(({ seconds }) => seconds)),
    records: done,
  };
}

const accuracyOf = ({ outcome }: JobRecord): number => (outcome.status === 'done' ? outcome.accuracy : 0);

/** Groups in the order in which their keys first come. */
export function groupBy<T, K>(values: readonly T[], keyOf: (value: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const value of values) {
    const key = keyOf(value);
    const group = groups.get(key);
    if (group) group.push(value);
    else groups.set(key, [value]);
  }
  return groups;
}
