// Training a language model on a task, as benchmarks need it: a step at a time, everything by seed.
import { createLm, type LanguageModel, type LmConfig, type LmParams } from '@mnemix/lm';
import { adamW, schedule, type AdamWState } from '@mnemix/optim';
import type { Task } from '@mnemix/tasks';
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
}

export interface Training {
  /** One step; returns the mean cross-entropy in nats. */
  step(index: number): Promise<number>;
  /** Share of unseen labels that are named right, over `sequences` sequences of the test split. */
  accuracy(sequences: number): Promise<number>;
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

  const batchOf = (index: number, size: number, split: 'train' | 'test'): [Tensor2D, Tensor2D] => {
    const { inputs, targets, tokens } = task.batch(data, { index, size, split });
    return [inputs, targets].map((values) => tensor2d(values, [size, tokens], 'int32')) as [
      Tensor2D,
      Tensor2D,
    ];
  };

  return {
    step: async (index) => {
      const { value, gradNorm, leafNorms, ...after } = tidy(() => {
        const [ids, targets] = batchOf(index, batch, 'train');
        const { value: loss, grads } = valueAndGrad((tree: LmParams) => ({
          value: model.loss(tree, ids, targets).loss,
        }))(params);
        const updated = optimizer.update(params, grads, state, { learningRate: rateOf(index) });
        return { value: loss, ...updated } as never;
      }) as { value: Scalar } & ReturnType<typeof optimizer.update<LmParams>>;
      ({ params, state } = after);
      const [loss] = await value.data();
      disposeTree({ value, gradNorm, leafNorms });
      return loss as number;
    },

    accuracy: async (sequences) => {
      let [right, all] = [0, 0];
      for (let index = 0; index * batch < sequences; index++) {
        const counts = tidy(() => {
          const [ids, targets] = batchOf(index, batch, 'test');
          const { correct, counted } = model.loss(params, ids, targets);
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
