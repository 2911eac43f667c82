// Training a language model on a task, as benchmarks need it: a step at a time, everything by seed.
import { createLm, type LanguageModel, type LmConfig } from '@mnemix/lm';
import { adamW, schedule, type AdamWState } from '@mnemix/optim';
import { macroAccuracy, type Batch, type Split, type Task } from '@mnemix/tasks';
import {
  disposeTree,
  Rng,
  stack,
  tensor2d,
  tidy,
  valueAndGrad,
  type ParamTree,
  type Scalar,
  type Tensor2D,
} from '@mnemix/tensor';
import { compressor, lmLearner } from './learner.ts';

export interface TrainingOptions {
  readonly model: LmConfig;
  readonly task: Task;
  /** Sequences of a step. */
  readonly batch: number;
  readonly seed?: number;
  /** Steps of the whole training, for the schedule. */
  readonly steps: number;
  readonly learningRate: number;
  /** How the rate falls after the warm-up. Default cosine. */
  readonly schedule?: 'cosine' | 'constant';
  /** Default 20, or less in a shorter training. */
  readonly warmupSteps?: number;
  /** Share of the learning rate that is left after the last step (cosine). Default 0.1. */
  readonly finalRatio?: number;
  /** Default 0.01. */
  readonly weightDecay?: number;
  /** Largest norm of the gradient; `null`: no clipping. Default 1. */
  readonly clipNorm?: number | null;
  /** `compressed`: all targets are told from the last position ({@link compressor}). Default `each`, at its own. */
  readonly targets?: 'each' | 'compressed';
  /** What the tokens of a batch are marked with for the mixers, as `crossLayer.tokens.keep`: [size · tokens]. */
  readonly marksOf?: ((batch: Batch) => Float32Array) | undefined;
}

export interface Training {
  /** One step; returns the mean cross-entropy in nats. */
  step(index: number): Promise<number>;
  /**
   * Share of unseen labels that are named right, over `sequences` sequences of the test split.
   *
   * @param of another task of the same vocabulary than the one trained on
   */
  accuracy(sequences: number, of?: Task): Promise<number>;
  /** The same as the mean over classes ({@link macroAccuracy}). */
  accuracyOfClasses(sequences: number, of?: Task): Promise<number>;
  /** What the routers do with the first `sequences` unseen sequences of the task; empty without a Mixture-of-Memories. */
  routings(sequences: number, of?: Task): Promise<readonly Routed[]>;
  parameterCount(): { readonly total: number; readonly activated: number };
  readonly model: LanguageModel;
  dispose(): void;
}

/** Where one router sent the tokens of some sequences. */
export interface Routed {
  /** Token ids, [sequences · tokens]. */
  readonly ids: Int32Array;
  /** Length of a sequence. */
  readonly tokens: number;
  /** Memories chosen for each token, the strongest first, [sequences · tokens · topK]. */
  readonly choices: Int32Array;
  readonly topK: number;
  readonly memories: number;
}

/** A model, its optimiser and its data. Everything is a function of the options. */
export function startTraining({
  model: config,
  task,
  batch,
  seed = 1,
  steps,
  learningRate,
  schedule: kind = 'cosine',
  warmupSteps = Math.min(20, steps - 1),
  finalRatio = 0.1,
  weightDecay = 0.01,
  clipNorm = 1,
  targets: kindOfTargets = 'each',
  marksOf,
}: TrainingOptions): Training {
  const model: LanguageModel = createLm(config);
  const learner = kindOfTargets === 'compressed' ? compressor(model) : lmLearner(model);
  const optimizer = adamW({ weightDecay, ...(clipNorm === null ? {} : { clipNorm }) });
  const rateOf = schedule({ kind, learningRate, warmupSteps, finalRatio, steps });
  const data = Rng.of(seed).fold('data');
  let params = learner.init(Rng.of(seed).fold('parameters'));
  let state: AdamWState<ParamTree> = optimizer.init(params);

  const batchOf = (of: Task, index: number, split: Split, size: number): Batch =>
    of.batch(data, { index, size, split });
  const tensorsOf = (made: Batch) => {
    const { size, tokens } = made;
    const tensorOf = (values: Int32Array): Tensor2D => tensor2d(values, [size, tokens], 'int32') as Tensor2D;
    const marks = marksOf && { keep: tensor2d(marksOf(made), [size * tokens, 1]) as Tensor2D };
    return {
      ids: tensorOf(made.inputs),
      targets: tensorOf(made.targets),
      options: { crossLayer: { tokens: marks } },
    };
  };

  return {
    step: async (index) => {
      const { crossEntropy, gradNorm, leafNorms, ...after } = tidy(() => {
        const { ids, targets, options } = tensorsOf(batchOf(task, index, 'train', batch));
        const { aux, grads } = valueAndGrad((tree: ParamTree) => {
          const { loss, crossEntropy: value } = learner.loss(tree, ids, targets, options);
          return { value: loss, aux: value };
        })(params);
        const updated = optimizer.update(params, grads, state, { learningRate: rateOf(index) });
        return { crossEntropy: aux, ...updated } as never;
      }) as { crossEntropy: Scalar } & ReturnType<typeof optimizer.update<ParamTree>>;
      ({ params, state } = after);
      const [loss] = await crossEntropy.data();
      disposeTree({ crossEntropy, gradNorm, leafNorms });
      return loss as number;
    },

    model,

    accuracy: async (sequences, of = task) => {
      let [right, all] = [0, 0];
      for (let index = 0; index * batch < sequences; index++) {
        const counts = tidy(() => {
          const { ids, targets, options } = tensorsOf(batchOf(of, index, 'test', batch));
          const { correct, counted } = learner.loss(params, ids, targets, options);
          return stack([correct, counted]);
        });
        const [correct = 0, counted = 0] = await counts.data();
        counts.dispose();
        right += correct;
        all += counted;
      }
      return right / all;
    },

    accuracyOfClasses: async (sequences, of = task) => {
      const [named, asked]: [number[], number[]] = [[], []];
      for (let index = 0; index * batch < sequences; index++) {
        const made = batchOf(of, index, 'test', batch);
        const predicted = tidy(() => learner.predict(params, tensorsOf(made).ids));
        for (const token of await predicted.data()) named.push(token);
        for (const target of made.targets) asked.push(target);
        predicted.dispose();
      }
      return macroAccuracy(named, asked);
    },

    routings: async (sequences, of = task) => {
      const made = batchOf(of, 0, 'test', sequences);
      const routings = tidy(() => {
        const { ids, options } = tensorsOf(made);
        return model
          .forward(learner.modelParams(params), ids, options)
          .routings.map(({ logits, choices }) => ({ logits, choices })) as never;
      }) as readonly { readonly logits: Tensor2D; readonly choices: Tensor2D }[];
      const routed = await Promise.all(
        routings.map(async ({ logits, choices }) => ({
          ids: made.inputs,
          tokens: made.tokens,
          choices: (await choices.data()) as Int32Array,
          topK: choices.shape[1],
          memories: logits.shape[1],
        })),
      );
      disposeTree(routings);
      return routed;
    },

    parameterCount: () => model.parameterCount(learner.modelParams(params)),

    dispose: () => disposeTree({ params, m: state.m, v: state.v }),
  };
}
