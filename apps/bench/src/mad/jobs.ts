// MAD as a sweep: the settings of its tasks, and the grid of trainings of which the best counts.
import { madProtocol, madSettings, type MadSetting, type MadTaskType } from '@mnemix/tasks';
import { jobsOf, type KeyedJob } from '../sweep/expand.ts';

export interface MadOptions {
  /** Mixers in a line, as in a sweep. */
  readonly mixers: readonly string[];
  readonly tasks: readonly MadTaskType[];
  /** One factor at a time off the baseline too; else the baselines alone. */
  readonly variations: boolean;
  /** `paper`: width 128, 200 epochs, six trainings for each setting. `small`: for a CPU. */
  readonly scale: keyof typeof madScales;
  readonly seeds: readonly number[];
  readonly backend: 'wasm' | 'webgpu';
}

const paper = (setting: MadSetting) => {
  const { training, model } = madProtocol(setting);
  return { ...training, width: model.widths[0] as number };
};

/** What is small is width, trainings and epochs, not the tasks. */
export const madScales = {
  paper: (setting: MadSetting) => {
    const { width, batch, epochs, learningRates, weightDecays, stopAt } = paper(setting);
    return { width, batch, epochs, learningRates, weightDecays, stopAt, maxSteps: Infinity };
  },
  small: (setting: MadSetting) => {
    const { batch, stopAt } = paper(setting);
    return {
      width: 64,
      batch: batch / 4,
      epochs: 1,
      learningRates: [3e-3],
      weightDecays: [0],
      stopAt,
      maxSteps: 400,
    };
  },
};

/** Evaluations of one training. */
const EVALUATIONS = 10;

/**
 * The jobs: each mixer on each setting, with each learning rate, weight decay and seed.
 *
 * @throws UsageError with all faults
 */
export function madJobs({
  mixers,
  tasks,
  variations,
  scale,
  seeds,
  backend,
}: MadOptions): readonly KeyedJob[] {
  const settings = madSettings.filter(
    ({ task, factor }) => tasks.includes(task.type) && (variations || factor === undefined),
  );
  return settings.flatMap((setting) => {
    const { width, batch, epochs, learningRates, weightDecays, stopAt, maxSteps } = madScales[scale](setting);
    const { examples = 12_800, testExamples = 1280 } = setting.task;
    // Memorisation has few examples, and passes over them as often as others over many.
    const whole = Math.ceil(examples / batch) * (scale === 'paper' ? epochs : Infinity);
    const steps = Math.min(maxSteps, whole);
    return weightDecays.flatMap((weightDecay) =>
      jobsOf({
        name: 'mad',
        backend,
        mixers,
        model: { width, heads: width / 32, layers: 2, mlp: 2 * width, window: 32, slots: 16 },
        sizes: { [String(width)]: {} },
        tasks: { [setting.name]: { train: setting.task } },
        learningRates,
        seeds,
        training: {
          batch,
          steps,
          weightDecay,
          clipNorm: null,
          schedule: 'constant',
          warmupSteps: 0,
          evaluateEvery: Math.ceil(steps / EVALUATIONS),
          testSequences: scale === 'paper' ? testExamples : 256,
          stopAt,
        },
      }),
    );
  });
}
