// The smallest thing that learns: an embedding and an output layer, on a task that one token settles.
import { crossEntropy } from '@mnemix/kernels';
import type { LinearParams } from '@mnemix/layers';
import { adamW, schedule } from '@mnemix/optim';
import { defineTask, type Task } from '@mnemix/tasks';
import {
  countElements,
  gatherRows,
  matMul,
  mul,
  ones,
  reshape,
  scalar,
  transpose,
  type Tensor1D,
  type Tensor2D,
} from '@mnemix/tensor';
import type { Config, ConfigInput } from '../src/config.ts';
import type { Parts, TrainableModel } from '../src/parts.ts';
import { checkConfig } from '../src/resolve-config.ts';

const VOCAB = 8;
const WIDTH = 4;

const bigramModel: TrainableModel = {
  init: (rng) => ({
    model: {
      embeddings: { weight: rng.fold('embeddings').normal([VOCAB, WIDTH]) as Tensor2D },
      layers: [],
      norm: { weight: ones([WIDTH]) as Tensor1D },
    },
    lm_head: { weight: rng.fold('head').normal([VOCAB, WIDTH]) as Tensor2D },
  }),
  loss({ model: { embeddings, norm }, lm_head: head }, ids, targets) {
    const x = mul(gatherRows(embeddings.weight, reshape(ids, [ids.size])), norm.weight) as Tensor2D;
    const logits = matMul(x, transpose((head as LinearParams).weight));
    const { loss, correct, counted } = crossEntropy({ logits, targets: reshape(targets, [targets.size]) });
    return { loss, crossEntropy: loss, auxiliary: scalar(0), correct, counted };
  },
  stateBytes: () => 0,
  parameterCount: (params) => ({ total: countElements(params), activated: countElements(params) }),
};

const successor = {
  name: 'successor',
  tokens: 6,
  write(rng, inputs, targets) {
    inputs.set(rng.integers(inputs.length, 0, VOCAB));
    inputs.forEach((id, t) => (targets[t] = (3 * id + 1) % VOCAB));
  },
} satisfies Parameters<typeof defineTask>[0]['train'][number];

/** The target of every token is a fixed function of it. */
const bigramTask: Task = defineTask({
  name: 'successor',
  config: {},
  vocabSize: VOCAB,
  train: [successor],
  test: [successor],
});

/** What a run is made of, whatever model and task its configuration names. */
export async function buildBigram({ optimizer, training }: Config): Promise<Parts> {
  const { learningRate, schedule: kind, warmupSteps } = optimizer;
  return {
    task: bigramTask,
    model: bigramModel,
    optimizer: adamW({ weightDecay: 0.1, clipNorm: 1 }),
    learningRate: schedule({ kind, learningRate, warmupSteps, steps: training.steps }),
  };
}

/** A whole configuration of a short run on the plain CPU. */
export const bigramConfig = (changes: Partial<ConfigInput> = {}): Config =>
  checkConfig({
    name: 'bigram',
    backend: 'cpu',
    task: { kind: 'recall' },
    model: { memories: 1, topK: 1, shared: false },
    optimizer: { learningRate: 0.1 },
    ...changes,
    training: { steps: 20, batch: 4, evalEvery: 7, evalSequences: 8, ...changes.training },
    output: { saveEvery: 4, tensorboard: false, ...changes.output },
  });
