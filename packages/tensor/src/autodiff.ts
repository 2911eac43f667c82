// Gradients over parameter trees, and the two ways to keep something out of them.
import { engine, keep, zerosLike, type Scalar, type Tensor } from '@tensorflow/tfjs-core';
import { checkShapes } from './errors.ts';
import { sharingZeros } from './shared-zeros.ts';
import { leaves, mapTree, withLeaves, type TensorTree } from './tree.ts';

/**
 * Runs `f` without recording it: what it returns is a constant to every enclosing gradient.
 *
 * tfjs has no such switch; but it records only outside of kernels, so we count as one.
 */
export function noGrad<T>(f: () => T): T {
  const { state } = engine();
  state.kernelDepth++;
  try {
    return f();
  } finally {
    state.kernelDepth--;
  }
}

/** The same values, through which no gradient flows. Shares memory with `x`. */
export const stopGradient = <T extends Tensor>(x: T): T => noGrad(() => x.clone());

export interface ValueAndGrad<P, Aux> {
  readonly value: Scalar;
  /** A tree of the form of the parameters; zeros where the value does not depend on a leaf. */
  readonly grads: P;
  readonly aux: Aux;
}

/**
 * Value and gradient of a scalar function of a parameter tree.
 *
 * ```ts
 * const step = valueAndGrad((params) => ({ value: loss(params, batch), aux: {} }));
 * const { value, grads } = step(params);
 * ```
 *
 * @param f returns a scalar, and further tensors (`aux`) that are passed out without a gradient
 * @throws MnemixError `shape` where the value is no scalar
 */
export function valueAndGrad<P extends TensorTree, Aux extends TensorTree = undefined>(
  f: (params: P) => { value: Scalar; aux?: Aux },
): (params: P) => ValueAndGrad<P, Aux> {
  return (params) =>
    engine().tidy('valueAndGrad', () => {
      const inputs = leaves(params);
      // What is not the value would be freed with the tape: keep it, and hand out an alias afterwards.
      const kept: Tensor[] = [];
      let aux = undefined as Aux;
      const forward = (): Tensor => {
        const result = f(params);
        checkShapes('valueAndGrad', { value: [result.value, []] });
        aux = mapTree(result.aux as Aux, (leaf) => {
          const alias = keep(leaf.clone());
          kept.push(alias);
          return alias;
        });
        return result.value;
      };
      try {
        const { value, grads } = sharingZeros(() =>
          engine().gradients<Tensor>(forward, inputs, undefined as unknown as Tensor, true),
        );
        const released = mapTree(aux, (leaf) => leaf.clone());
        const gradients = withLeaves(
          params,
          inputs.map((leaf, i) => grads[i] ?? zerosLike(leaf)),
        );
        // Plain containers do not survive tfjs's type of `tidy`, only its runtime.
        return { value: value as Scalar, grads: gradients, aux: released } as never;
      } catch (error) {
        dropTape();
        throw error;
      } finally {
        for (const alias of kept) alias.dispose();
      }
    });
}

/** Frees what tfjs saved for a backward pass that will not come: after an error it forgets to. */
function dropTape(): void {
  const { state } = engine();
  if (state.gradientDepth > 0) return;
  for (const { saved } of state.activeTape ?? []) for (const tensor of saved ?? []) tensor.dispose();
  state.activeTape = [];
}
