// Embeddings: rows of a table by number.
import { checkDtype, checkShapes, defineOp, type Tensor } from '@mnemix/tensor';
import * as gpu from './gpu.ts';
import * as portable from './portable.ts';

const backwardOp = defineOp<portable.BackwardInputs, { dWeight: Tensor }, portable.BackwardAttrs>({
  name: 'EmbeddingBackward',
  outputs: ['dWeight'],
  integers: ['ids'],
  portable: portable.backward,
  kernels: gpu.backward,
});

const forwardOp = defineOp<portable.Inputs, { y: Tensor }, object>({
  name: 'Embedding',
  outputs: ['y'],
  integers: ['ids'],
  portable: portable.forward,
  kernels: gpu.forward,
  gradient: ({ inputs: { weight, ids }, grads }) => ({
    weight: backwardOp({ ids, dy: grads.y }, { rows: weight.shape[0] as number }).dWeight,
  }),
});

/**
 * y_n = W[id_n]. The gradient of a row of W is the sum of the gradients of the tokens that have it, in a fixed order: the same
 * bits on every run. It costs what the tokens and the table cost to read and write once, not their product.
 *
 * @param inputs.weight [V, D]
 * @param inputs.ids int32 [N], below V; −1 gives a row of zeros. Host backends check them; on WebGPU that would
 *   mean to read them back, and what an id beyond gives is undefined
 * @returns [N, D]
 * @throws MnemixError `shape`; `value` for an id that is not below V, on host backends
 */
export function embedding({ weight, ids }: { weight: Tensor; ids: Tensor }): Tensor {
  checkShapes('embedding', { weight: [weight, ['V', 'D']], ids: [ids, ['N']] });
  checkDtype('embedding(ids)', ids, 'int32');
  return forwardOp({ weight, ids }, {}).y;
}
