// Parameters of a Mixture-of-Memories layer, under the names of fla's state dict: the cell's common ones as they are,
// a list with one entry a memory of the others, and `shared_*` for the memory that every token goes to.
import { initLinear, type CellParams, type LinearParams, type MemoryCell } from '@mnemix/layers';
import {
  disposeTree,
  entries,
  MnemixError,
  stack,
  unflatten,
  type ParamTree,
  type Rng,
  type Tensor,
} from '@mnemix/tensor';

export interface MomParams extends CellParams {
  /** The router's weight [M,d]. */
  readonly gate: LinearParams;
}

/** fla's name of the copy that the shared memory uses: k_proj → shared_k. */
const sharedName = (name: string): string => `shared_${name.replace(/_proj$/, '')}`;

export interface ParameterLayout {
  readonly memories: number;
  readonly shared: boolean;
  readonly singleKvProj: boolean;
}

export function initMom(
  cell: Pick<MemoryCell, 'width' | 'perMemory' | 'init'>,
  { memories, shared, singleKvProj }: ParameterLayout,
  rng: Rng,
): MomParams {
  const copy = (label: string | number): CellParams =>
    pick(cell.init(rng.fold(label)), (name) => cell.perMemory.includes(name));
  const common = pick(cell.init(rng.fold('common')), (name) => !cell.perMemory.includes(name));
  const copies = singleKvProj ? [] : Array.from({ length: memories }, (_, m) => copy(m));
  const sharedCopy = shared || singleKvProj ? copy('shared') : {};
  return {
    ...common,
    gate: initLinear(rng.fold('gate'), cell.width, memories),
    ...(singleKvProj
      ? {}
      : Object.fromEntries(cell.perMemory.map((name) => [name, copies.map((tree) => tree[name])]))),
    ...Object.fromEntries(Object.entries(sharedCopy).map(([name, tree]) => [sharedName(name), tree])),
  };
}

/** The wanted branches of a tree; frees the others. */
function pick(params: CellParams, wanted: (name: string) => boolean): CellParams {
  const [kept, rest] = [true, false].map((keep) =>
    Object.entries(params).filter(([name]) => wanted(name) === keep),
  );
  for (const [, tree] of rest ?? []) disposeTree(tree);
  return Object.fromEntries(kept ?? []);
}

/** The cell's parameters with one memory's copy of those that memories do not share. */
export function sharedParams(params: MomParams, perMemoryNames: readonly string[]): CellParams {
  return { ...params, ...Object.fromEntries(perMemoryNames.map((name) => [name, params[sharedName(name)]])) };
}

/** The cell's parameters with all memories' copies stacked on a first axis: each leaf of a copy becomes [M, …]. */
export function stackedParams(params: MomParams, perMemoryNames: readonly string[]): CellParams {
  const stacked = perMemoryNames.map(
    (name) => [name, stackTrees(params[name] as readonly ParamTree[])] as const,
  );
  return { ...params, ...Object.fromEntries(stacked) };
}

function stackTrees(copies: readonly ParamTree[]): ParamTree {
  const [first] = copies;
  if (first === undefined)
    throw new MnemixError({
      code: 'config',
      where: 'mom(params)',
      message: 'there are no memories.',
      fix: 'Use at least one.',
    });
  const lists: Record<string, Tensor[]> = {};
  for (const copy of copies) for (const [path, leaf] of entries(copy)) (lists[path] ??= []).push(leaf);
  return unflatten(
    first,
    Object.fromEntries(Object.entries(lists).map(([path, list]) => [path, stack(list)])),
  );
}
