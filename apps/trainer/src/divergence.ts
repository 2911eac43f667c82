// A loss or a gradient that is not finite: which tensor it shows in first, and where to go back to.
import { entries, MnemixError, type Tensor, type Tensor1D, type TensorTree } from '@mnemix/tensor';

/** E.g. `the gradient of model.norm.weight`. */
export type Offender = string | undefined;

/** The first tensor with an element that is not finite, parameters before gradients. Reads them all. */
export async function offenderAmong(params: TensorTree, grads: TensorTree): Promise<Offender> {
  const find = async (tree: TensorTree): Promise<string | undefined> => {
    for (const [path, leaf] of entries(tree)) {
      const data = await (leaf as Tensor).data<'float32'>();
      const index = data.findIndex((value) => !Number.isFinite(value));
      if (index >= 0) return `${path} (element ${index} is ${data[index]})`;
    }
    return undefined;
  };
  const parameter = await find(params);
  if (parameter !== undefined) return `the parameter ${parameter}`;
  const gradient = await find(grads);
  return gradient === undefined ? undefined : `the gradient of ${gradient}`;
}

/** The same for gradients of which only the norms are left, one a leaf. */
export async function offenderAmongNorms(params: TensorTree, norms: Tensor1D): Promise<Offender> {
  const values = await norms.data();
  const index = values.findIndex((norm) => !Number.isFinite(norm));
  const path = Array.from(entries(params), ([name]) => name)[index];
  return path === undefined ? undefined : `the gradient of ${path} (its norm is ${values[index]})`;
}

/**
 * @param divergence.step the step that failed, counted from 1
 * @param divergence.found e.g. `the loss is NaN`
 */
export function divergenceError(divergence: {
  readonly step: number;
  readonly found: string;
  readonly offender: Offender;
  readonly lastCheckpoint: string | undefined;
}): MnemixError {
  const { step, found, offender, lastCheckpoint } = divergence;
  const tensor = offender
    ? `the first tensor that is not finite is ${offender}`
    : 'every single tensor is finite';
  const goodOne = lastCheckpoint
    ? `The last good checkpoint is ${lastCheckpoint}.`
    : 'No checkpoint had been saved yet.';
  return new MnemixError({
    code: 'diverged',
    where: `step ${step}`,
    message: `${found}; ${tensor}. ${goodOne}`,
    fix: 'Train again with a lower optimizer.learningRate, more optimizer.warmupSteps or a smaller optimizer.clipNorm.',
    detail: { step, offender, lastCheckpoint },
  });
}
