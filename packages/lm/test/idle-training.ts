// A training step of the model of `mnemix-bench lm-gpu`, with fewer layers and tokens in its vocabulary, on a device that does nothing.
import { disposeTree, Rng, tensor2d, valueAndGrad, type Scalar, type Tensor2D } from '@mnemix/tensor';
import { adamW, type AdamWState } from '@mnemix/optim';
import { idleWebgpu } from '@mnemix/testkit';
import { vi } from 'vitest';
import { createLm, type LmConfig, type LmParams } from '../src/index.ts';

export const gpu = idleWebgpu();
// Imported when a backend is opened.
vi.doMock('webgpu', () => gpu);

const configOf = (layers: number): LmConfig => ({
  vocabSize: 64,
  width: 512,
  layers,
  mlp: { hidden: 1408 },
  mixer: {
    type: 'mom',
    memories: 4,
    topK: 2,
    shared: true,
    cell: { type: 'gated_delta_net', heads: 4, headWidth: 128, expandV: 1 },
  },
});

export const idsOf = (batch: number, tokens: number): Tensor2D =>
  tensor2d(new Int32Array(batch * tokens), [batch, tokens], 'int32') as Tensor2D;

/** The model's parameters, and its loss with their gradients. */
export function modelOf(layers: number, ids: Tensor2D) {
  const model = createLm(configOf(layers));
  return {
    params: model.init(Rng.of(1)),
    gradients: valueAndGrad((params: LmParams) => ({ value: model.loss(params, ids, ids).loss })),
  };
}

export interface Trained {
  readonly params: LmParams;
  readonly state: AdamWState<LmParams>;
}

const optimiser = adamW({ clipNorm: 1 });

/** Before the first step. */
export const untrained = (params: LmParams): Trained => ({ params, state: optimiser.init(params) });

/** One step, which consumes what it starts from. As in training, the loss is read, so that what has been recorded is submitted. */
export async function train(
  { params, state }: Trained,
  gradients: (params: LmParams) => { readonly value: Scalar; readonly grads: LmParams },
): Promise<Trained> {
  const { value, grads } = gradients(params);
  const { gradNorm, leafNorms, ...after } = optimiser.update(params, grads, state, { learningRate: 1e-3 });
  await value.data();
  disposeTree({ value, gradNorm, leafNorms });
  return after;
}

export const disposeTrained = ({ params, state: { m, v } }: Trained): void =>
  disposeTree({ params, m, v } as never);
