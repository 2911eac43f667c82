// How well a model predicts sequences that it was not trained on.
import { setImmediate } from 'node:timers/promises';
import type { LmParams } from '@mnemix/lm';
import { checkBatch, type Batch, type Task } from '@mnemix/tasks';
import { AsyncScope, concat, mul, reshape, tensor2d, type Rng, type Tensor2D } from '@mnemix/tensor';
import { heldOutBatches, type HeldOutRequest } from './held-out.ts';
import type { TrainableModel } from './parts.ts';

export interface Evaluation {
  /** Mean cross-entropy of the targets, in nats. */
  readonly loss: number;
  /** Share of the targets that the model finds most likely. */
  readonly accuracy: number;
  /** Targets. */
  readonly counted: number;
}

export interface EvaluationData extends HeldOutRequest {
  readonly task: Task;
  /** Which sequences, where they are made without end: equal keys give equal ones. */
  readonly rng: Rng;
}

/** Loss and accuracy over held-out sequences. Keeps no tensors. */
export async function evaluate(
  model: TrainableModel,
  params: LmParams,
  data: EvaluationData,
): Promise<Evaluation> {
  const { task, rng } = data;
  const { first, count, size } = heldOutBatches(task, data);
  let [loss, correct, counted] = [0, 0, 0];
  for (let index = first; index < first + count; index++) {
    using scope = new AsyncScope();
    const totals = scope.run(() => {
      const { ids, targets } = batchTensors(task, task.batch(rng, { index, size, split: 'test' }));
      const result = model.loss(params, ids, targets);
      const sums = [mul(result.crossEntropy, result.counted), result.correct, result.counted];
      return concat(sums.map((sum) => reshape(sum, [1])));
    });
    const [lossSum, correctSum, countedSum] = await totals.data<'float32'>();
    loss += lossSum as number;
    correct += correctSum as number;
    counted += countedSum as number;
    // Signals are only heard between turns of the event loop.
    await setImmediate();
  }
  return { loss: loss / counted, accuracy: correct / counted, counted };
}

/**
 * Host arrays of a task as int32 tensors [B,T].
 *
 * @throws MnemixError `value` for an id or a target outside of the vocabulary
 */
export function batchTensors(task: Task, batch: Batch): { ids: Tensor2D; targets: Tensor2D } {
  // On the device nobody would notice.
  checkBatch(batch, task.vocabSize);
  const shape: [number, number] = [batch.size, batch.tokens];
  return { ids: tensor2d(batch.inputs, shape, 'int32'), targets: tensor2d(batch.targets, shape, 'int32') };
}
