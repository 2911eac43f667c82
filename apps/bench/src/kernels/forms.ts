// The forms in which a case is run, forward and backward.
import {
  defineOp,
  disposeTree,
  scalar,
  tidy,
  valueAndGrad,
  withStockKernels,
  type Scalar,
  type Tensor,
} from '@mnemix/tensor';
import type { Inputs, Prepared } from './case.ts';

/** `ours`: our kernels. `portable`: the same ops without them. `naive`: a token at a time in stock ops. */
export type FormName = 'ours' | 'portable' | 'naive';

export type Pass = 'forward' | 'training';

export interface Form {
  readonly forward: () => Tensor;
  readonly gradients: () => Inputs;
  /** What a time of it has to be multiplied by. */
  readonly scale: number;
}

/** 0 whatever y is; its gradient is the tensor that was given: a backward pass that costs nothing of its own. */
const pull = defineOp<{ y: Tensor; upstream: Tensor }, { value: Tensor }, object>({
  name: 'BenchPull',
  outputs: ['value'],
  portable: () => ({ value: scalar(0) }),
  gradient: ({ inputs }) => ({ y: inputs.upstream.clone(), upstream: inputs.upstream.clone() }),
});

/** @param upstream of a shape, the same tensor for the same name */
export function formsOf(
  { inputs, run, naive }: Prepared,
  upstream: (name: 'whole' | 'naive', shape: readonly number[]) => Tensor,
): Partial<Record<FormName, Form>> {
  const formOf = (given: Inputs, compute: (inputs: Inputs) => Tensor, name: 'whole' | 'naive'): Form => {
    const forward = (): Tensor => tidy(() => compute(given));
    let shape: readonly number[] | undefined;
    const gradients = (): Inputs => {
      // Made outside of the gradient, whose tensors end with it.
      shape ??= tidy(() => compute(given).shape);
      const dy = upstream(name, shape);
      const { value, grads } = valueAndGrad((tree: Inputs) => {
        const { value } = pull({ y: compute(tree), upstream: dy }, {});
        return { value: value as Scalar };
      })(given);
      value.dispose();
      return grads;
    };
    return { forward, gradients, scale: 1 };
  };
  const stock = ({ forward, gradients, scale }: Form): Form => ({
    forward: () => withStockKernels(forward),
    gradients: () => withStockKernels(gradients),
    scale,
  });
  const ours = formOf(inputs, run, 'whole');
  return {
    ours,
    portable: stock(ours),
    ...(naive && { naive: { ...stock(formOf(naive.inputs, naive.run, 'naive')), scale: naive.scale } }),
  };
}

/** Runs a form and frees what it makes. */
export const runnerOf =
  (form: Form, pass: Pass): (() => void) =>
  () =>
    pass === 'forward' ? form.forward().dispose() : disposeTree(form.gradients());
