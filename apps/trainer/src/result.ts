// What a finished run came to, and the table that sets runs beside each other.
import { disposeTree, Rng } from '@mnemix/tensor';
import { bytes, duration, percent, quantity, table } from './format.ts';
import { readJsonIfThere, writeAtomically } from './files.ts';
import type { ModelConfig } from './config.ts';
import { idleStateBytes } from './model.ts';
import type { Parts } from './parts.ts';
import type { TrainingEnd } from './train.ts';

export interface Size {
  /** Parameters. */
  readonly total: number;
  /** Parameters that take part in one token's result. */
  readonly activated: number;
  /** State of one sequence after all its tokens: recurrent, and what attention keeps. */
  readonly stateBytes: number;
  /** The part of it that one token reads and writes: of the memories that it is routed to, and of the shared one. */
  readonly activatedStateBytes: number;
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

export function sizeOf({ model, task }: Pick<Parts, 'model' | 'task'>, config: ModelConfig): Size {
  const params = model.init(Rng.of(0));
  const stateBytes = model.stateBytes(1, task.tokens);
  const size = {
    ...model.parameterCount(params),
    stateBytes,
    activatedStateBytes: stateBytes - idleStateBytes(config),
  };
  disposeTree(params);
  return size;
}

export const writeResult = (path: string, result: Result): Promise<void> =>
  writeAtomically(path, `${JSON.stringify(result, undefined, 2)}\n`);

/** A result that was written before, if the run has ended. */
export const readResult = async (path: string): Promise<Result | undefined> =>
  (await readJsonIfThere(path)) as Result | undefined;

/** What a token reads and writes, and what there is, for each model in plain words. */
export const sizesCaption = (results: readonly Result[]): string =>
  byModel(results)
    .map(([model, [{ total, activated, stateBytes, activatedStateBytes }]]) => {
      const [all, active, state, activeState] = [total, activated, stateBytes, activatedStateBytes].map(
        (value) => value.toLocaleString('en'),
      );
      return (
        `${model}: each token uses ${active} of ${all} parameters, ` +
        `and reads and writes ${activeState} of the ${state} bytes of state that a sequence has.`
      );
    })
    .join('\n');

function byModel(results: readonly Result[]): [model: string, runs: readonly [Result, ...Result[]]][] {
  const models = [...new Set(results.map(({ model }) => model))];
  return models.map((model) => [
    model,
    results.filter((result) => result.model === model) as [Result, ...Result[]],
  ]);
}

/** A row a model; over several seeds the mean, then the smallest and the largest. */
export function resultTable(results: readonly Result[], target: number | undefined): string {
  const header = [
    'model',
    'parameters',
    'activated',
    'state',
    'activated state',
    'unseen accuracy',
    ...(target === undefined ? [] : [`steps to ${percent(target)}`]),
    'tokens/s',
    'time',
  ];
  const rows = byModel(results).map(([model, runs]) => {
    const [{ total, activated, stateBytes, activatedStateBytes }] = runs;
    return [
      model,
      quantity(total),
      quantity(activated),
      bytes(stateBytes),
      bytes(activatedStateBytes),
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
