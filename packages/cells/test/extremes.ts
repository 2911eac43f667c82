// Cells with parameters that drive their gates to the ends.
import type { Mixer } from '@mnemix/layers';
import {
  fill,
  flatten,
  mapTree,
  Rng,
  sum,
  tidy,
  valueAndGrad,
  type ParamTree,
  type Scalar,
  type Tensor3D,
} from '@mnemix/tensor';
import { expect } from 'vitest';

/**
 * Expects finite outputs, states and gradients.
 *
 * @param constants values for all entries of some parameters, by path
 */
export function expectFinite(mixer: Mixer, constants: Readonly<Record<string, number>>): void {
  tidy(() => {
    const initial = mixer.init(Rng.of(1)) as ParamTree;
    expect(Object.keys(flatten(initial))).toEqual(expect.arrayContaining(Object.keys(constants)));
    const params = mapTree(initial, (leaf, path) =>
      constants[path] === undefined ? leaf : fill(leaf.shape, constants[path]),
    );
    const x = Rng.of(2).normal([2, 37, mixer.width]) as Tensor3D;
    const { aux, grads } = valueAndGrad((tree: { params: ParamTree; x: Tensor3D }) => {
      const { y, state } = mixer.forward(tree.params, tree.x);
      return { value: sum(y) as Scalar, aux: { y, state } };
    })({ params, x });
    for (const [path, leaf] of Object.entries(flatten({ ...aux, grads } as ParamTree)))
      expect(leaf.dataSync().every(Number.isFinite), path).toBe(true);
  });
}
