// One step of training: a batch, its loss and gradient, an update.
import type { LmParams } from '@mnemix/lm';
import type { AdamWState } from '@mnemix/optim';
import type { Batch } from '@mnemix/tasks';
import { AsyncScope, concat, reshape, valueAndGrad, type Scalar } from '@mnemix/tensor';
import { divergenceError, offenderAmong, offenderAmongNorms } from './divergence.ts';
import { batchTensors } from './evaluate.ts';
import type { Parts } from './parts.ts';

/** What training changes. */
export interface TrainingState {
  readonly params: LmParams;
  readonly optimizer: AdamWState<LmParams>;
}

/** Numbers of a step, on the host. */
export interface StepNumbers {
  /** Cross-entropy, in nats. */
  readonly loss: number;
  readonly accuracy: number;
  readonly learningRate: number;
  /** Before clipping. */
  readonly gradientNorm: number;
  readonly load?: readonly number[];
}

/**
 * Consumes the state and returns the next one.
 *
 * @param lastCheckpoint where to go back to, for the error
 * @throws MnemixError `diverged` where loss or gradient are not finite
 */
export async function trainingStep(
  { params, optimizer: before }: TrainingState,
  batch: Batch,
  { task, model, optimizer, learningRate: rateAt }: Parts,
  lastCheckpoint: string | undefined,
): Promise<{ state: TrainingState; numbers: StepNumbers }> {
  using scope = new AsyncScope();
  const step = before.step + 1;
  const { value, grads, aux } = scope.run(() => {
    const { ids, targets } = batchTensors(task, batch);
    return valueAndGrad((tree: LmParams) => {
      const { loss, crossEntropy, correct, counted, load } = model.loss(tree, ids, targets);
      return { value: loss, aux: { crossEntropy, correct, counted, load } };
    })(params);
  });
  const [total, loss, correct, counted] = await readScalars(scope, [
    value,
    aux.crossEntropy,
    aux.correct,
    aux.counted,
  ]);
  if (!Number.isFinite(total)) {
    const offender = await offenderAmong(params, grads);
    throw divergenceError({ step, found: `the loss is ${total}`, offender, lastCheckpoint });
  }
  const load = aux.load && Array.from(await aux.load.data());

  const learningRate = rateAt(before.step);
  const update = scope.run(() => optimizer.update(params, grads, before, { learningRate }));
  const [gradientNorm] = await readScalars(scope, [update.gradNorm]);
  if (!Number.isFinite(gradientNorm)) {
    const offender = await offenderAmongNorms(update.params, update.leafNorms);
    throw divergenceError({
      step,
      found: `the norm of the gradient is ${gradientNorm}`,
      offender,
      lastCheckpoint,
    });
  }
  const { step: done, m, v } = update.state;
  return {
    state: { params: scope.release(update.params), optimizer: { step: done, ...scope.release({ m, v }) } },
    numbers: { loss, accuracy: correct / counted, learningRate, gradientNorm, ...(load && { load }) },
  };
}

/** Several scalars in one read-back. */
async function readScalars<const Scalars extends readonly Scalar[]>(
  scope: AsyncScope,
  scalars: Scalars,
): Promise<{ [I in keyof Scalars]: number }> {
  const together = scope.run(() => concat(scalars.map((scalar) => reshape(scalar, [1]))));
  return Array.from(await together.data()) as { [I in keyof Scalars]: number };
}
