// MAD's scores: for each task the mean over its settings of the best training.
import type { MadTaskType } from '@mnemix/tasks';
import { groupBy, summarize, type Point } from '../report/points.ts';
import { mean } from '../statistics.ts';
import type { JobRecord } from '../sweep/record.ts';
import { madPublished } from './published.ts';

export const madTaskNames: Readonly<Record<MadTaskType, string>> = {
  mad_compression: 'compression',
  mad_fuzzy_recall: 'fuzzy recall',
  mad_in_context_recall: 'in-context recall',
  mad_memorization: 'memorisation',
  mad_noisy_recall: 'noisy recall',
  mad_selective_copying: 'selective copying',
};

const taskTypes = Object.keys(madTaskNames) as readonly MadTaskType[];

export interface MadScore {
  readonly model: string;
  /** Mean over the settings that there are results of, 0 … 1. */
  readonly tasks: Readonly<Partial<Record<MadTaskType, number>>>;
  /** Over the tasks; absent where one has no result. */
  readonly mean?: number;
  readonly settings: number;
}

const typeOf = (point: Point): string => (point.records[0] as Point['records'][number]).job.task.type;

export function madScores(records: readonly JobRecord[]): readonly MadScore[] {
  const { points } = summarize(records.filter(({ job }) => job.task.type.startsWith('mad_')));
  return [...groupBy(points, ({ model }) => model)].map(([model, own]): MadScore => {
    const byTask = groupBy(own, typeOf) as Map<MadTaskType, Point[]>;
    const tasks = Object.fromEntries(
      [...byTask].map(([type, settings]) => [type, mean(settings.map((point) => point.mean))]),
    ) as MadScore['tasks'];
    const whole = taskTypes.every((type) => byTask.has(type));
    return {
      model,
      tasks,
      settings: own.length,
      ...(whole ? { mean: mean(Object.values(tasks)) } : {}),
    };
  });
}

/** The scores as a table: ours, then the published ones. */
export function madTable(scores: readonly MadScore[]): {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
} {
  const percent = (share: number | undefined): string =>
    share === undefined ? '–' : (100 * share).toFixed(1);
  return {
    head: ['model', ...taskTypes.map((type) => madTaskNames[type]), 'mean', 'settings'],
    rows: [
      ...scores.map(({ model, tasks, mean: whole, settings }) => [
        model,
        ...taskTypes.map((type) => percent(tasks[type])),
        percent(whole),
        String(settings),
      ]),
      ...Object.entries(madPublished).map(([model, tasks]) => [
        `_${model}, published_`,
        ...taskTypes.map((type) => tasks[type].toFixed(1)),
        mean(Object.values(tasks)).toFixed(1),
        '66',
      ]),
    ],
  };
}
