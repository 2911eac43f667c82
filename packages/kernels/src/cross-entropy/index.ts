// Cross-entropy of logits against class numbers.
import { checkDtype, checkShapes, defineOp, type Scalar, type Tensor } from '@mnemix/tensor';
import * as gpu from './gpu.ts';
import * as portable from './portable.ts';
import * as wasm from './wasm.ts';

const backwardOp = defineOp<portable.BackwardInputs, { dLogits: Tensor }, portable.Attrs>({
  name: 'CrossEntropyBackward',
  outputs: ['dLogits'],
  integers: ['targets'],
  portable: portable.backward,
  kernels: { ...wasm.backward, ...gpu.backward },
});

const forwardOp = defineOp<portable.Inputs, portable.Outputs, portable.Attrs>({
  name: 'CrossEntropy',
  outputs: ['loss', 'correct', 'counted', 'largest', 'logSum'],
  integers: ['targets'],
  portable: portable.forward,
  kernels: { ...wasm.forward, ...gpu.forward },
  savedOutputs: ['counted', 'largest', 'logSum'],
  gradient: ({ inputs, outputs: { counted, largest, logSum }, grads, attrs }) => ({
    logits: backwardOp({ ...inputs, counted, largest, logSum, dLoss: grads.loss }, attrs).dLogits,
  }),
});

export interface CrossEntropyOptions {
  /** Rows with this target are left out. Default −100, as in PyTorch. */
  readonly ignoreIndex?: number;
}

export interface CrossEntropyResult {
  /** Mean over the counted rows, in nats; 0 if there are none. Carries the gradient. */
  readonly loss: Scalar;
  /** Counted rows whose target has the largest logit (the first of equal ones). A constant. */
  readonly correct: Scalar;
  /** Rows that count: their target is a class, and not `ignoreIndex`. A constant. */
  readonly counted: Scalar;
}

/**
 * loss = mean over counted rows of ln Σ_c e^{ℓ_c} − ℓ_target.
 * Gradient: dℓ = (softmax(ℓ) − onehot(target)) / counted.
 *
 * For the gradient, two numbers of each row are kept: its largest logit and ln Σ e^{ℓ − largest}. There is no
 * tensor of probabilities.
 *
 * @param inputs.logits [N, V]
 * @param inputs.targets int32 [N]; a target outside of 0 … V−1 leaves its row out, as `ignoreIndex` does
 * @throws MnemixError `shape`
 */
export function crossEntropy(
  { logits, targets }: { logits: Tensor; targets: Tensor },
  { ignoreIndex = -100 }: CrossEntropyOptions = {},
): CrossEntropyResult {
  checkShapes('crossEntropy', { logits: [logits, ['N', 'V']], targets: [targets, ['N']] });
  checkDtype('crossEntropy(targets)', targets, 'int32');
  const { loss, correct, counted } = forwardOp({ logits, targets }, { ignoreIndex });
  return { loss, correct, counted } as CrossEntropyResult;
}
