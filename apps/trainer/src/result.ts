// What a finished run came to, and the table that sets runs beside each other.
import { readFile } from 'node:fs/promises';
import { disposeTree, Rng } from '@mnemix/tensor';
import { bytes, duration, percent, quantity, table } from './format.ts';
import { writeAtomically } from './files.ts';
import type { TrainableModel } from './parts.ts';
import type { TrainingEnd } from './train.ts';

export interface Size {
  /** Parameters. */
  readonly total: number;
  /** Parameters that take part in one token's result. */
  readonly activated: number;
  /** Recurrent state of one sequence. */
  readonly stateBytes: number;
}

export interface Result extends Size {
  /** Name of the model within its job. */
  readonly model: string;
  readonly seed: number;
  readonly ended: 'target' | 'steps';
  readonly steps: number;
  readonly tokens: number;
  readonly seconds: number;
  /** On data that neither training nor the decision to stop has used. */
  readonly unseen: { readonly loss: number; readonly accuracy: number };
}

export function sizeOf(model: TrainableModel): Size {
  const params = model.init(Rng.of(0));
  const size = { ...model.parameterCount(params), stateBytes: model.stateBytes(1) };
  disposeTree(params);
  return size;
}

export const writeResult = (path: string, result: Result): Promise<void> =>
  writeAtomically(path, `${JSON.stringify(result, undefined, 2)}\n`);

/** A result that was written before, if the run has ended. */
export async function readResult(path: string): Promise<Result | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Result);
}

/** A row a model; over several seeds the mean, then the smallest and the largest. */
export function resultTable(results: readonly Result[], target: number | undefined): string {
  const models = [...new Set(results.map(({ model }) => model))];
  const header = [
    'model',
    'parameters',
    'activated',
    'state',
    'unseen accuracy',
    ...(target === undefined ? [] : [`steps to ${percent(target)}`]),
    'tokens/s',
    'time',
  ];
  const rows = models.map((model) => {
    const runs = results.filter((result) => result.model === model);
    const { total, activated, stateBytes } = runs[0] as Result;
    return [
      model,
      quantity(total),
      quantity(activated),
      bytes(stateBytes),
      spread(
        runs.map(({ unseen }) => unseen.accuracy),
        percent,
      ),
      ...(target === undefined ? [] : [stepsToTarget(runs)]),
      spread(
        runs.map(({ tokens, seconds }) => tokens / seconds),
        quantity,
      ),
      spread(
        runs.map(({ seconds }) => seconds),
        duration,
      ),
    ];
  });
  return table([header, ...rows]);
}

/** Only runs that got there have a number of steps; how many did is part of the answer. */
function stepsToTarget(runs: readonly Result[]): string {
  const there = runs.filter(({ ended }) => ended === 'target');
  const most = Math.max(...runs.map(({ steps }) => steps));
  if (there.length === 0) return `not within ${most}`;
  const steps = spread(
    there.map((run) => run.steps),
    (value) => value.toFixed(0),
  );
  return there.length === runs.length ? steps : `${steps}, ${there.length} of ${runs.length} seeds`;
}

function spread(values: readonly number[], format: (value: number) => string): string {
  if (values.length === 1) return format(values[0] as number);
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return `${format(mean)} (${format(Math.min(...values))} to ${format(Math.max(...values))})`;
}

/** What a training that was not interrupted came to. */
export function resultOf(end: TrainingEnd, run: { model: string; seed: number }, size: Size): Result {
  const { ended, step, tokens, seconds, unseen } = end;
  if (ended === 'interrupted' || !unseen) throw new Error('an interrupted run has no result');
  return {
    model: run.model,
    seed: run.seed,
    ended,
    steps: step,
    tokens,
    seconds,
    unseen: { loss: unseen.loss, accuracy: unseen.accuracy },
    ...size,
  };
}
