// One training run, from where it stands to its end.
import { mkdir } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { disposeTree, Rng } from '@mnemix/tensor';
import { listCheckpoints, readCheckpoint, restore, saveCheckpoint, type Position } from './checkpoint.ts';
import type { Config } from './config.ts';
import { evaluate, type Evaluation } from './evaluate.ts';
import { removePartials } from './files.ts';
import { percent } from './format.ts';
import type { Interrupt } from './interrupt.ts';
import { isStep, LogWriter, type StepEntry } from './log.ts';
import type { Parts } from './parts.ts';
import { RecentSteps, type Progress } from './progress.ts';
import type { Purpose } from './held-out.ts';
import { inFolder } from './run-folder.ts';
import type { StepTrace } from './step-trace.ts';
import { EventWriter } from './tensorboard.ts';
import { trainingStep, type TrainingState } from './training-step.ts';

/** A run: one model, one seed, one folder. */
export interface Run {
  readonly folder: string;
  readonly config: Config;
  /** Shown before every line of it. */
  readonly label: string;
}

export interface Surroundings {
  readonly progress: Progress;
  readonly interrupt: Interrupt;
  readonly trace?: StepTrace | undefined;
}

export interface TrainingEnd {
  /** `target`: unseen data were predicted as well as `training.stopAt` asks. */
  readonly ended: 'target' | 'steps' | 'interrupted';
  readonly step: number;
  /** Tokens that it was trained on. */
  readonly tokens: number;
  /** Seconds of training. */
  readonly seconds: number;
  /** The newest checkpoint. */
  readonly checkpoint: string;
  /** On data that neither training nor the decision to stop has used; absent where interrupted. */
  readonly unseen?: Evaluation;
}

/**
 * Trains until the target or the last step is reached, or until it is interrupted, and leaves a checkpoint.
 * A run that stopped in any way continues as if it had not.
 *
 * @throws MnemixError `diverged` where loss or gradient are no longer finite
 */
export async function train(
  run: Run,
  parts: Parts,
  { progress, interrupt, trace }: Surroundings,
): Promise<TrainingEnd> {
  const { task, model } = parts;
  const { training, output } = run.config;
  const paths = inFolder(run.folder);
  const prefix = run.label && `${run.label}  `;

  for (const folder of [paths.checkpoints, paths.tensorboard]) await mkdir(folder, { recursive: true });
  for (const folder of [run.folder, paths.checkpoints]) await removePartials(folder);
  let { state, rng, best, reached, checkpoint } = await standOf(run, parts);
  const stepsDone = (): number => state.optimizer.step;
  // Whichever state it is by then.
  using _tensors = { [Symbol.dispose]: () => disposeTree(treeOf(state)) };
  await using log = await LogWriter.continueAfter(paths.log, stepsDone());
  await using events = output.tensorboard
    ? await EventWriter.create(paths.tensorboard, stepsDone())
    : undefined;
  const earlierSteps = log.earlier.filter(isStep);
  let tokens = earlierSteps.reduce((sum, entry) => sum + entry.tokens, 0);
  const seconds = stopwatch(earlierSteps.at(-1)?.seconds ?? 0);
  if (stepsDone() > 0) progress.note(`${prefix}continues after step ${stepsDone()}`);
  const recent = new RecentSteps(20);

  while (stepsDone() < training.steps && !reached && !interrupt.requested) {
    const batch = task.batch(rng, { index: stepsDone(), size: training.batch, split: 'train' });
    const step = () => trainingStep(state, batch, parts, checkpoint);
    const { state: next, numbers } = await (trace ? trace.run(step) : step());
    state = next;
    await record({ step: stepsDone(), tokens: batch.size * batch.tokens, ...numbers, seconds: seconds() });

    const isLast = stepsDone() === training.steps;
    const isBest = (isLast || stepsDone() % training.evalEvery === 0) && (await judge());
    if (isLast || isBest || reached || stepsDone() % output.saveEvery === 0) await save();
    // Signals are only heard between turns of the event loop.
    await setImmediate();
  }
  const isInterrupted = stepsDone() < training.steps && !reached;
  if (isInterrupted) await save();
  const end = { step: stepsDone(), tokens, seconds: seconds(), checkpoint: checkpoint as string };
  if (isInterrupted) return { ...end, ended: 'interrupted' };
  return {
    ...end,
    ended: reached ? 'target' : 'steps',
    unseen: await evaluateOn('final', 'final', { times: 4 }),
  };

  /** A step into log, events and progress. */
  async function record(entry: StepEntry): Promise<void> {
    tokens += entry.tokens;
    await log.append(entry);
    await events?.scalars(entry.step, stepScalars(entry));
    const { secondsPerStep, ...means } = recent.add(entry);
    progress.step({
      label: run.label,
      step: entry.step,
      steps: training.steps,
      ...means,
      load: entry.load,
      secondsLeft: (training.steps - entry.step) * secondsPerStep,
      mayStopEarlier: training.stopAt !== undefined,
    });
  }

  /** Evaluates on unseen data; tells whether this is the best so far, and notices when the target is reached. */
  async function judge(): Promise<boolean> {
    const step = stepsDone();
    const { loss, accuracy } = await evaluateOn('judge', 'unseen');
    await log.append({ step, unseen: { loss, accuracy } });
    await events?.scalars(step, { 'unseen/loss': loss, 'unseen/accuracy': accuracy });
    const line = `step ${step}: on unseen data loss ${loss.toFixed(3)}, accuracy ${percent(accuracy)}`;
    progress.note(prefix + line);
    if (training.stopAt !== undefined && accuracy >= training.stopAt) {
      // Every evaluation asks the same sequences; only others can confirm, and others each time.
      const round = Math.ceil(step / training.evalEvery);
      const confirmed = await evaluateOn('confirm', `confirm at ${step}`, { round });
      reached = confirmed.accuracy >= training.stopAt;
    }
    const isBest = loss < (best?.loss ?? Infinity);
    if (isBest) best = { step, loss };
    return isBest;
  }

  /** @param label tells the random sequences of one purpose from those of another */
  function evaluateOn(purpose: Purpose, label: string, { times = 1, round = 0 } = {}): Promise<Evaluation> {
    const sequences = times * training.evalSequences;
    const request = { purpose, round, sequences, batch: training.batch };
    return evaluate(model, state.params, { task, rng: rng.fold(label), ...request });
  }

  async function save(): Promise<void> {
    // What the checkpoint stands on must be on disk before it is.
    await log.flush();
    const position: Position = { step: stepsDone(), rng: rng.toJSON(), best, reached };
    checkpoint = await saveCheckpoint(paths.checkpoints, treeOf(state), position, run.config);
  }
}

/** Seconds of training, those before a resumption included. */
function stopwatch(before: number): () => number {
  const start = performance.now();
  return () => before + (performance.now() - start) / 1000;
}

const stepScalars = ({
  loss,
  accuracy,
  learningRate,
  gradientNorm,
  load,
}: StepEntry): Record<string, number> => ({
  'train/loss': loss,
  'train/accuracy': accuracy,
  'train/learning rate': learningRate,
  'train/gradient norm': gradientNorm,
  ...Object.fromEntries((load ?? []).map((share, memory) => [`load/memory ${memory}`, share])),
});

interface Stand {
  readonly state: TrainingState;
  readonly rng: Rng;
  readonly best: Position['best'];
  readonly reached: boolean;
  readonly checkpoint: string | undefined;
}

/** Where a run stands: at its newest checkpoint, or at the beginning. */
async function standOf({ folder, config }: Run, { model, optimizer }: Parts): Promise<Stand> {
  const newest = (await listCheckpoints(inFolder(folder).checkpoints)).at(-1);
  const rng = Rng.of(config.training.seed);
  const params = model.init(rng.fold('init'));
  const state = { params, optimizer: optimizer.init(params) };
  if (newest === undefined) return { state, rng, best: undefined, reached: false, checkpoint: undefined };

  const like = treeOf(state);
  try {
    const checkpoint = await readCheckpoint(newest);
    const { step, rng: key, best, reached } = checkpoint.position;
    const { params: restored, moments } = restore(checkpoint, like);
    return {
      state: { params: restored, optimizer: { step, ...moments } },
      rng: Rng.fromJSON(key),
      best,
      reached,
      checkpoint: newest,
    };
  } finally {
    disposeTree(like);
  }
}

/** The tensors of a training state, as checkpoints hold them. */
const treeOf = ({ params, optimizer: { m, v } }: TrainingState) => ({ params, moments: { m, v } });
