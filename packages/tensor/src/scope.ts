// Scopes that free tensors. `tidy` is for synchronous code; an AsyncScope for code that awaits, in which tfjs's
// own scope stack would be shared with whatever else runs in between.
import { engine, memory, tidy, type Tensor } from '@tensorflow/tfjs-core';
import { leaves, type TensorTree } from './tree.ts';

export { memory, tidy };

/**
 * Owns tensors across awaits. Tensors made inside {@link AsyncScope.run} and those given to
 * {@link AsyncScope.track} live until the scope is disposed, unless released.
 */
export class AsyncScope {
  private readonly owned = new Set<Tensor>();

  /** Runs synchronous code; every tensor that it leaves alive belongs to this scope. */
  run<T>(f: () => T): T {
    const { state } = engine();
    engine().startScope('AsyncScope.run');
    try {
      return f();
    } finally {
      const made = (state.activeScope?.track ?? []).filter((tensor) => !tensor.isDisposed && !tensor.kept);
      for (const tensor of made) this.owned.add(tensor);
      // Naming them as the result keeps them alive; taking them off the parent's list makes them ours alone.
      engine().endScope(made as never);
      const parent = state.activeScope;
      if (parent) parent.track = parent.track.filter((tensor) => !this.owned.has(tensor));
    }
  }

  /** Takes over the leaves of `tree`, e.g. tensors that an asynchronous function returned. */
  track<T extends TensorTree>(tree: T): T {
    for (const leaf of leaves(tree)) this.owned.add(leaf);
    return tree;
  }

  /** Gives the leaves of `tree` up: they outlive the scope. */
  release<T extends TensorTree>(tree: T): T {
    for (const leaf of leaves(tree)) this.owned.delete(leaf);
    return tree;
  }

  dispose(): void {
    for (const tensor of this.owned) tensor.dispose();
    this.owned.clear();
  }

  /** Frees the leaves of `tree` now. */
  free(tree: TensorTree): void {
    for (const leaf of leaves(tree)) {
      this.owned.delete(leaf);
      leaf.dispose();
    }
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/**
 * The asynchronous counterpart of `tidy`: frees what the scope owns when `f` has ended, whether it succeeded or
 * threw, except the tensors that it returns.
 */
export async function asyncTidy<T extends TensorTree | void>(
  f: (scope: AsyncScope) => Promise<T>,
): Promise<T> {
  const scope = new AsyncScope();
  try {
    const result = await f(scope);
    if (result !== undefined) scope.release(result as TensorTree);
    return result;
  } finally {
    scope.dispose();
  }
}
