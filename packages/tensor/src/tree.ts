// Parameter trees: plain nested records with tensors as leaves. Nothing is registered anywhere; a leaf's name
// is the path to it, joined by dots, as in PyTorch's state dicts ("layers.0.attn.q_proj.weight").
import { Tensor } from '@tensorflow/tfjs-core';
import { MnemixError } from './errors.ts';

/** A nested record (or array) of `Leaf`s. Absent optional branches are `undefined`. */
export type Tree<Leaf> = Leaf | undefined | { readonly [name: string]: Tree<Leaf> } | readonly Tree<Leaf>[];

/** A tree of tensors: parameters, gradients, recurrent state, optimiser moments. */
export type TensorTree = Tree<Tensor>;

/** Parameters of a module. An alias that says what a {@link TensorTree} is for. */
export type ParamTree = TensorTree;

const isBranch = (node: unknown): node is Record<string, unknown> =>
  typeof node === 'object' && node !== null && !(node instanceof Tensor);

/** Path name of what is below a branch. */
const below = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`);

/** Leaves with their path names, in insertion order. */
export function entries(tree: TensorTree): [path: string, leaf: Tensor][] {
  const found: [string, Tensor][] = [];
  const visit = (node: unknown, path: string): void => {
    if (node instanceof Tensor) found.push([path, node]);
    else if (isBranch(node)) for (const name of Object.keys(node)) visit(node[name], below(path, name));
  };
  visit(tree, '');
  return found;
}

/** The leaves alone, in the order of {@link entries}. */
export const leaves = (tree: TensorTree): Tensor[] => leavesAt(tree, tree) as Tensor[];

/** What `tree` has in the places of the leaves of `like`, in the order of {@link entries}; `undefined` where that is no leaf. */
export function leavesAt(like: TensorTree, tree: TensorTree): (Tensor | undefined)[] {
  const found: (Tensor | undefined)[] = [];
  const visit = (node: unknown, other: unknown): void => {
    if (node instanceof Tensor) found.push(other instanceof Tensor ? other : undefined);
    else if (isBranch(node))
      for (const name of Object.keys(node)) visit(node[name], isBranch(other) ? other[name] : undefined);
  };
  visit(like, tree);
  return found;
}

/** Path name → leaf. */
export const flatten = (tree: TensorTree): Record<string, Tensor> => Object.fromEntries(entries(tree));

/** A tree of the same form; `transform` receives each leaf with its path. */
export function mapTree<T extends TensorTree>(tree: T, transform: (leaf: Tensor, path: string) => Tensor): T {
  const visit = (node: unknown, path: string): unknown => {
    if (node instanceof Tensor) return transform(node, path);
    if (Array.isArray(node)) return node.map((child, i) => visit(child, below(path, String(i))));
    if (!isBranch(node)) return node;
    return Object.fromEntries(Object.keys(node).map((name) => [name, visit(node[name], below(path, name))]));
  };
  return visit(tree, '') as T;
}

/** A tree of `like`'s form with these leaves, in the order of {@link entries}. */
export function withLeaves<T extends TensorTree>(like: T, made: readonly Tensor[]): T {
  let next = 0;
  return mapTree(like, () => made[next++] as Tensor);
}

/**
 * A tree of `like`'s form, with its leaves taken from `leaves` by path.
 *
 * @throws MnemixError `value` where a path is missing
 */
export function unflatten<T extends TensorTree>(like: T, byPath: Readonly<Record<string, Tensor>>): T {
  return mapTree(like, (_, path) => {
    const leaf = byPath[path];
    if (leaf !== undefined) return leaf;
    throw new MnemixError({
      code: 'value',
      where: 'unflatten(byPath)',
      message: `there is no tensor for "${path}".`,
      fix: 'Pass one tensor for every leaf of the tree.',
      detail: { path },
    });
  });
}

/** Frees every leaf. */
export function disposeTree(tree: TensorTree): void {
  for (const leaf of leaves(tree)) leaf.dispose();
}

/** Number of elements in all leaves. */
export const countElements = (tree: TensorTree): number =>
  leaves(tree).reduce((sum, leaf) => sum + leaf.size, 0);
