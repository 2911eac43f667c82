// Training a language model on a task, as benchmarks need it: a step at a time, everything by seed.
import { createLm, type LanguageModel, type LmConfig, type LmParams } from '@mnemix/lm';
import { adamW, schedule, type AdamWState } from '@mnemix/optim';
import type { Batch, Task } from '@mnemix/tasks';
import {
  disposeTree,
  Rng,
  stack,
  tensor2d,
  tidy,
  valueAndGrad,
  type Scalar,
  type Tensor2D,
} from '@mnemix/tensor';

export interface TrainingOptions {
  readonly model: LmConfig;
  readonly task: Task;
  /** Sequences of a step. */
  readonly batch: number;
  readonly seed?: number;
  /** Steps of the whole training, for the schedule. */
  readonly steps: number;
  readonly learningRate: number;
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
  readonly model: LanguageModel;
  dispose(): void;
}

/** A model, its optimiser and its data. Everything is a function of the options. */
export function startTraining({
  model: config,
  task,
  batch,
  seed = 1,
  steps,
  learningRate,
  marksOf,
}: TrainingOptions): Training {
  const model: LanguageModel = createLm(config);
  const optimizer = adamW({ clipNorm: 1, weightDecay: 0.01 });
  const rateOf = schedule({
    kind: 'cosine',
    learningRate,
    warmupSteps: Math.min(20, steps - 1),
    finalRatio: 0.1,
    steps,
  });
  const data = Rng.of(seed).fold('data');
  let params: LmParams = model.init(Rng.of(seed).fold('parameters'));
  let state: AdamWState<LmParams> = optimizer.init(params);

  const batchOf = (of: Task, index: number, split: 'train' | 'test', rows: number) => {
    const made = of.batch(data, { index, size: rows, split });
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
      const { value, gradNorm, leafNorms, ...after } = tidy(() => {
        const { ids, targets, options } = batchOf(task, index, 'train', batch);
        const { value: loss, grads } = valueAndGrad((tree: LmParams) => ({
          value: model.loss(tree, ids, targets, options).loss,
        }))(params);
        const updated = optimizer.update(params, grads, state, { learningRate: rateOf(index) });
        return { value: loss, ...updated } as never;
      }) as { value: Scalar } & ReturnType<typeof optimizer.update<LmParams>>;
      ({ params, state } = after);
      const [loss] = await value.data();
      disposeTree({ value, gradNorm, leafNorms });
      return loss as number;
    },

    model,

    accuracy: async (sequences, of = task) => {
      let [right, all] = [0, 0];
      for (let index = 0; index * batch < sequences; index++) {
        const counts = tidy(() => {
          const { ids, targets, options } = batchOf(of, index, 'test', batch);
          const { correct, counted } = model.loss(params, ids, targets, options);
          return stack([correct, counted]);
        });
        const [correct = 0, counted = 0] = await counts.data();
        counts.dispose();
        right += correct;
        all += counted;
      }
      return right / all;
    },

    dispose: () => disposeTree({ params, m: state.m, v: state.v }),
  };
}
