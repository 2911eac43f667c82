// Parameters of a Mixture-of-Memories layer, under the names of fla's state dict: the cell's common ones as they are,
// a list with one entry a memory of the others, and `shared_*` for the memory that every token goes to. The upstream's
// older layers (linear attention, GSA) keep that memory's parameters as the last entries of the lists instead.
import { initLinear, type CellParams, type LinearParams, type MemoryCell } from '@mnemix/layers';
import { disposeTree, leaves, MnemixError, type ParamTree, type Rng, type Tensor } from '@mnemix/tensor';

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

/** What all memories have of each leaf of the cell's parameters, the shared memory last; by the first memory's own. */
export type Copies = ReadonlyMap<Tensor, readonly Tensor[]>;

/** The cell's parameters with the first memory's copy of those that memories do not share, and all copies. */
export function ownParams(
  params: MomParams,
  { perMemory, memories, shared, sharedMemory }: ParameterLayout,
): { params: CellParams; copies: Copies } {
  const copies = new Map<Tensor, Tensor[]>();
  const firsts = perMemory.map((name) => {
    const routed = (params[name] as readonly ParamTree[]).slice(0, memories);
    const trees = shared ? [...routed, sharedCopy(params, name, sharedMemory)] : routed;
    const all = trees.map(leaves);
    all[0]?.forEach((first, i) =>
      copies.set(
        first,
        all.map((own) => own[i] as Tensor),
      ),
    );
    return [name, trees[0]] as const;
  });
  return { params: { ...params, ...Object.fromEntries(firsts) }, copies };
}

/** @throws MnemixError `config` for what is not a leaf of the parameters that a memory has of its own */
export function copiesOf(leaf: Tensor, copies: Copies): readonly Tensor[] {
  const found = copies.get(leaf);
  if (found) return found;
  throw new MnemixError({
    code: 'config',
    where: 'mom(cell)',
    message: `it maps rows by a layer [${leaf.shape.join(', ')}] that memories have no copies of.`,
    fix: "Pass context.linear layers of the cell's perMemory parameters as they are, and others to context.commonLinear.",
  });
}

const sharedCopy = (params: MomParams, name: string, place: ParameterLayout['sharedMemory']): ParamTree =>
  place === 'last' ? (params[name] as readonly ParamTree[]).at(-1) : params[sharedName(name)];
