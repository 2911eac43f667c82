// One job: a training and its judgement. Whatever goes wrong with it is its outcome.
import { setImmediate } from 'node:timers/promises';
import { taskOf, type Task } from '@mnemix/tasks';
import { closeBackend, MnemixError, openBackend } from '@mnemix/tensor';
import { mean } from '../statistics.ts';
import { startTraining, type Routed, type Training } from '../training.ts';
import type { CurvePoint, Failed, Job, LayerRouting, Outcome } from './record.ts';
import { layerRouting, loadOf, routedLayers } from './routing.ts';

export interface JobProgress {
  readonly step: number;
  readonly steps: number;
  /** Of the last evaluation. */
  readonly accuracy: number | undefined;
}

export interface JobOptions {
  /** Ends the job with the signal's reason, without an outcome. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: JobProgress) => void;
}

/** A loss this many times what guessing costs is on its way to infinity. */
const BOUND = 100;

/** Sequences whose routing is looked at. */
const ROUTED_SEQUENCES = 8;

const causeOf = (error: unknown): Failed['cause'] => {
  const message = error instanceof Error ? error.message : String(error);
  return error instanceof MnemixError
    ? { code: error.code, where: error.where, message }
    : { code: error instanceof Error ? error.name : 'unknown', message };
};

/**
 * Trains and judges. A training that diverges or throws is an outcome as well.
 *
 * @throws only the reason of the signal
 */
export async function runJob(job: Job, { signal, onProgress }: JobOptions = {}): Promise<Outcome> {
  const begin = performance.now();
  const curve: CurvePoint[] = [];
  let training: Training | undefined;
  try {
    await openFor(job.backend);
    const { lm, training: options, seed } = job;
    const task = taskOf(job.task);
    training = startTraining({ ...options, model: lm, task, seed, targets: targetsOf(job) });
    const done = await trained(job, task, training, { curve, signal, onProgress });
    return { status: 'done', ...done, curve, seconds: (performance.now() - begin) / 1000 };
  } catch (error) {
    signal?.throwIfAborted();
    const status = error instanceof MnemixError && error.code === 'diverged' ? 'diverged' : 'failed';
    return { status, cause: causeOf(error), curve, seconds: (performance.now() - begin) / 1000 };
  } finally {
    training?.dispose();
  }
}

/** MAD's tasks are judged by the mean over classes, and its compression is no language model. */
const accuracyOf = ({ task }: Job, training: Training): Training['accuracy'] =>
  task.type.startsWith('mad_') ? training.accuracyOfClasses : training.accuracy;
const targetsOf = ({ task }: Job): 'each' | 'compressed' =>
  task.type === 'mad_compression' ? 'compressed' : 'each';

let isOpen: Job['backend'] | undefined;

/** Jobs of one sweep share a backend; one thread each, since they run side by side. */
async function openFor(backend: Job['backend']): Promise<void> {
  if (isOpen !== undefined && isOpen !== backend) await closeBackend();
  isOpen = undefined;
  await openBackend(backend, backend === 'wasm' ? { threads: 1 } : {});
  isOpen = backend;
}

interface Course {
  /** Grows as the training goes. */
  readonly curve: CurvePoint[];
  readonly signal: AbortSignal | undefined;
  readonly onProgress: JobOptions['onProgress'];
}

async function trained(job: Job, task: Task, training: Training, { curve, signal, onProgress }: Course) {
  const { steps, evaluateEvery, testSequences, stopAt } = job.training;
  const tests = Object.entries(job.tests ?? { test: job.task }).map(([name, spec]) => ({
    name,
    of: taskOf(spec),
  }));
  const layers = routedLayers(job.lm);
  const loads = layers.map((): LayerRouting['load'][number][] => []);
  let routed: readonly Routed[] = [];
  const bound = BOUND * Math.log(job.lm.vocabSize);
  let best: { accuracy: number; accuracies: Record<string, number>; steps: number } | undefined;
  let last: number | undefined;

  for (let begin = 0; begin < steps && !(last !== undefined && last > stopAt);) {
    const end = Math.min(begin + evaluateEvery, steps);
    let sum = 0;
    for (let step = begin; step < end; step++) {
      // Training on the CPU never waits for anything; the process has to hear of signals and of its parent all the same.
      await setImmediate();
      signal?.throwIfAborted();
      const loss = await training.step(step);
      // What is no number is not below it either.
      if (!(loss < bound)) throw divergence(step + 1, loss);
      sum += loss;
      onProgress?.({ step: step + 1, steps, accuracy: last });
    }
    const accuracies: Record<string, number> = {};
    for (const { name, of } of tests) accuracies[name] = await accuracyOf(job, training)(testSequences, of);
    last = mean(Object.values(accuracies));
    curve.push({ step: end, loss: sum / (end - begin), accuracy: last });
    if (best === undefined || last > best.accuracy) best = { accuracy: last, accuracies, steps: end };
    if (layers.length > 0) {
      routed = await training.routings(ROUTED_SEQUENCES);
      routed.forEach((each, i) => loads[i]!.push({ step: end, shares: loadOf(each) }));
    }
    begin = end;
  }
  const { total, activated } = training.parameterCount();
  return {
    ...best!,
    stateBytes: training.model.stateBytes(1, Math.max(task.tokens, ...tests.map(({ of }) => of.tokens))),
    parameters: total,
    activatedParameters: activated,
    ...(routed.length > 0
      ? {
          routing: routed.map((each, i) =>
            layerRouting(each, layers[i] as number, loads[i] as LayerRouting['load']),
          ),
        }
      : {}),
  };
}

const divergence = (step: number, loss: number): MnemixError =>
  new MnemixError({
    code: 'diverged',
    where: `step ${step}`,
    message: `the loss is ${loss}.`,
    fix: 'Use a lower learning rate, a longer warm-up or a smaller clipNorm.',
  });
