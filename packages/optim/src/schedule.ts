// Learning rates over the course of a run.
import { checkConfig, checkKeys } from '@mnemix/tensor';
import { checkRange } from './check.ts';

export interface ScheduleConfig {
  /** How the rate falls after the warm-up: not at all, in a straight line, or along half a cosine. */
  readonly kind: 'constant' | 'linear' | 'cosine';
  /** The highest rate. */
  readonly learningRate: number;
  /** Steps in the run, warm-up included. Needed unless the rate is constant. */
  readonly steps?: number;
  /** Steps over which the rate rises in a straight line (default 0). */
  readonly warmupSteps?: number;
  /** Share of the highest rate at which it arrives after the last step (default 0). No effect on a constant one. */
  readonly finalRatio?: number;
}

/** Remaining share of the fall, 1 → 0, as its progress goes 0 → 1. */
const shapes: Record<ScheduleConfig['kind'], (progress: number) => number> = {
  constant: () => 1,
  linear: (progress) => 1 - progress,
  cosine: (progress) => (1 + Math.cos(Math.PI * progress)) / 2,
};

/**
 * The learning rate as a pure function of the step, counted from 0.
 *
 * With peak η, W steps of warm-up, N in all and final ratio r: η·(s+1)/W while s < W, so the last step of the warm-up
 * is the first at η; then η·(r + (1−r)·shape((s−W)/(N−W))), which is η at s = W and η·r from s = N on.
 *
 * @throws MnemixError `config`, naming the key that is unknown, missing or out of range
 */
export function schedule(config: ScheduleConfig): (step: number) => number {
  checkKeys('schedule: ', config, ['kind', 'learningRate', 'steps', 'warmupSteps', 'finalRatio']);
  const { kind, learningRate, steps = Infinity, warmupSteps = 0, finalRatio = 0 } = config;
  const kinds = Object.keys(shapes);
  checkConfig(
    kinds.includes(kind),
    'schedule: kind',
    `found ${String(kind)}.`,
    `Choose one of ${kinds.join(', ')}.`,
  );
  checkRange('schedule: learningRate', learningRate, 0);
  checkRange('schedule: warmupSteps', warmupSteps, 0);
  checkRange('schedule: finalRatio', finalRatio, 0, 1);
  checkConfig(
    kind === 'constant' || (Number.isFinite(steps) && steps > warmupSteps),
    'schedule: steps',
    `expected a number above the ${warmupSteps} steps of warm-up, found ${config.steps}.`,
    'Set the number of steps in the run, and a warm-up that is shorter.',
  );
  const shape = shapes[kind];
  return (step) => {
    if (step < warmupSteps) return (learningRate * (step + 1)) / warmupSteps;
    const progress = Math.min(1, (step - warmupSteps) / (steps - warmupSteps));
    return learningRate * (finalRatio + (1 - finalRatio) * shape(progress));
  };
}
