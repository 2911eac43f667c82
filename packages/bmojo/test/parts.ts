// Parts of batches, parameters drawn at random, and trees compared leaf by leaf.
import {
  add,
  concat,
  flatten,
  mapTree,
  reshape,
  Rng,
  slice,
  type ParamTree,
  type Tensor,
  type Tensor2D,
  type Tensor3D,
  type TensorTree,
} from '@mnemix/tensor';
import '@mnemix/testkit';
import type { Mixer, State } from '@mnemix/layers';
import { expect } from 'vitest';

/** Tokens from … to − 1 of every row. */
export const part = (x: Tensor3D, from: number, to: number): Tensor3D =>
  slice(x, [0, from, 0], [x.shape[0], to - from, x.shape[2]]) as Tensor3D;

export const row = (x: Tensor3D, b: number): Tensor3D =>
  slice(x, [b, 0, 0], [1, x.shape[1], x.shape[2]]) as Tensor3D;

export const at = (x: Tensor3D, t: number): Tensor2D =>
  reshape(part(x, t, t + 1), [x.shape[0], x.shape[2]]) as Tensor2D;

/** Wide enough for attention and gates to be far from even; norms near 1. */
export const drawn = <P extends ParamTree>(mixer: Mixer<P>, seed = 3): P =>
  mapTree(mixer.init(Rng.of(1)), (leaf, path) => {
    const noise = Rng.of(seed)
      .fold(path)
      .normal(leaf.shape, 0, path.endsWith('norm.weight') ? 0.2 : 0.4);
    return path.endsWith('norm.weight') ? add(noise, 1) : noise;
  });

export const normal = (seed: number, shape: [number, number, number]): Tensor3D =>
  Rng.of(seed).normal(shape) as Tensor3D;

/** Entry s of the state of several sequences; memory m of a mixture keeps sequence s at m·S + s. */
export const entryOf = (state: State, sequences: number, s: number): State =>
  mapTree(state, (leaf) => {
    const lanes = leaf.shape[0]! / sequences;
    const rest = leaf.shape.slice(1);
    return concat(
      Array.from({ length: lanes }, (_, lane) =>
        slice(leaf, [lane * sequences + s, ...rest.map(() => 0)], [1, ...rest]),
      ),
      0,
    );
  });

/** Equal where finite, and infinite alike. */
export function near(found: TensorTree, wanted: TensorTree, tolerance = 1e-5): void {
  const [a, b] = [flatten(found), flatten(wanted)];
  expect(Object.keys(a).sort()).toEqual(Object.keys(b).sort());
  for (const [path, leaf] of Object.entries(b)) nearTensor(a[path] as Tensor, leaf, tolerance, path);
}

function nearTensor(found: Tensor, wanted: Tensor, tolerance: number, path: string): void {
  expect(found.shape, path).toEqual(wanted.shape);
  const [a, b] = [Array.from(found.dataSync()), Array.from(wanted.dataSync())];
  const rest = (values: number[]): number[] => values.filter((value) => !Number.isFinite(value));
  expect(rest(a), path).toEqual(rest(b));
  const finite = (values: number[]): number[] => values.filter(Number.isFinite);
  if (finite(b).length > 0) expect(finite(a), path).toBeCloseRms(finite(b), tolerance);
}
