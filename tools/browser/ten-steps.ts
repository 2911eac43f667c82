// Ten training steps of a small Mixture-of-Memories, the same in Node and in a browser: whoever runs it compares the
// losses.
import { createLm, type LmParams } from '@mnemix/lm';
import { adamW } from '@mnemix/optim';
import { mqar } from '@mnemix/tasks';
import { disposeTree, openBackend, Rng, tensor2d, tidy, valueAndGrad } from '@mnemix/tensor';
import type { BackendOptions } from '@mnemix/tensor';

export type TrainedOn = 'wasm' | 'webgpu-software';

export interface Run {
  /** That compute, on WASM. */
  threads: number;
  /** Of each of ten steps. */
  losses: number[];
}

/**
 * Trains on a backend.
 *
 * @param options where a browser finds the WASM files
 */
export async function run(backend: TrainedOn, options?: BackendOptions): Promise<Run> {
  const { threads } = await openBackend(backend, options);
  const model = createLm({
    vocabSize: 20,
    width: 16,
    layers: 2,
    mlp: null,
    mixer: {
      type: 'mom',
      memories: 3,
      topK: 2,
      cell: { type: 'gated_delta_net', heads: 1, headWidth: 8, expandV: 1 },
    },
  });
  const task = mqar({ vocabSize: 20, segments: [{ tokens: 16, pairs: 3 }] });
  const optimiser = adamW({ clipNorm: 1 });
  let params = model.init(Rng.of(1));
  let state = optimiser.init(params);
  const losses: number[] = [];
  for (let index = 0; index < 10; index++) {
    const { inputs, targets, size, tokens } = task.batch(Rng.of(2), { index, size: 4, split: 'train' });
    const { value, grads } = tidy(() => {
      const ids = tensor2d(inputs, [size, tokens], 'int32');
      const labels = tensor2d(targets, [size, tokens], 'int32');
      return valueAndGrad((p: LmParams) => ({ value: model.loss(p, ids, labels).loss }))(params) as never;
    }) as ReturnType<ReturnType<typeof valueAndGrad<LmParams>>>;
    losses.push((await value.data())[0] ?? Number.NaN);
    const { gradNorm, leafNorms, ...after } = optimiser.update(params, grads, state, { learningRate: 0.01 });
    ({ params, state } = after);
    disposeTree({ value, gradNorm, leafNorms });
  }
  return { threads, losses };
}
