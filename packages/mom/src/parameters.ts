// Parameters of a Mixture-of-Memories layer, under the names of fla's state dict: the cell's common ones as they are,
// a list with one entry a memory of the others, and `shared_*` for the memory that every token goes to. The upstream's
// older layers (linear attention, GSA) keep that memory's parameters as the last entries of the lists instead.
import { stackParts } from '@mnemix/kernels';
import { initLinear, type CellParams, type LinearParams, type MemoryCell } from '@mnemix/layers';
import {
  disposeTree,
  entries,
  MnemixError,
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
  /** Parameters of which every memory has its own copy. */
  readonly perMemory: readonly string[];
  /** Where the shared memory's copy is: see `MemoryCell`. One set for all memories is always `named`. */
  readonly sharedMemory: 'named' | 'last';
}

export function initMom(
  cell: Pick<MemoryCell, 'width' | 'init'>,
  { memories, shared, singleKvProj, perMemory, sharedMemory }: ParameterLayout,
  rng: Rng,
): MomParams {
  const copy = (label: string | number): CellParams =>
    pick(cell.init(rng.fold(label)), (name) => perMemory.includes(name));
  const common = pick(cell.init(rng.fold('common')), (name) => !perMemory.includes(name));
  const routed = singleKvProj ? [] : Array.from({ length: memories }, (_, m) => copy(m));
  const always = shared || singleKvProj ? copy('shared') : {};
  const isLast = sharedMemory === 'last';
  const copies = isLast && shared ? [...routed, always] : routed;
  return {
    ...common,
    gate: initLinear(rng.fold('gate'), cell.width, memories),
    ...(singleKvProj
      ? {}
      : Object.fromEntries(perMemory.map((name) => [name, copies.map((tree) => tree[name])]))),
    ...(isLast
      ? {}
      : Object.fromEntries(Object.entries(always).map(([name, tree]) => [sharedName(name), tree]))),
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

/** The cell's parameters with the shared memory's copy of those that memories do not share. */
export function sharedParams(params: MomParams, { perMemory, sharedMemory }: ParameterLayout): CellParams {
  const copies = perMemory.map((name) => [name, sharedCopy(params, name, sharedMemory)] as const);
  return { ...params, ...Object.fromEntries(copies) };
}

/**
 * The cell's parameters with the memories' copies stacked on a first axis, the shared memory's behind the others: each leaf of a
 * copy becomes [M, …], or [M + 1, …].
 */
export function stackedParams(params: MomParams, layout: ParameterLayout): CellParams {
  const { perMemory, memories, shared, sharedMemory } = layout;
  const routed = (name: string) => (params[name] as readonly ParamTree[]).slice(0, memories);
  const copies = (name: string): readonly ParamTree[] =>
    shared ? [...routed(name), sharedCopy(params, name, sharedMemory)] : routed(name);
  const stacked = perMemory.map((name) => [name, stackTrees(copies(name))] as const);
  return { ...params, ...Object.fromEntries(stacked) };
}

const sharedCopy = (params: MomParams, name: string, place: ParameterLayout['sharedMemory']): ParamTree =>
  place === 'last' ? (params[name] as readonly ParamTree[]).at(-1) : params[sharedName(name)];

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
    Object.fromEntries(Object.entries(lists).map(([path, list]) => [path, stackParts(list)])),
  );
}
