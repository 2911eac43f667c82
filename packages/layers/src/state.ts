// Recurrent state as data: its shape, the empty state, its size, and the check that a state belongs here.
import { entries, MnemixError, zeros, type Tensor, type TensorTree } from '@mnemix/tensor';

/** Shapes of a state's tensors, by name. */
export type StateShape = { readonly [name: string]: readonly number[] | StateShape };

const isShape = (node: readonly number[] | StateShape): node is readonly number[] => Array.isArray(node);

function* shapes(tree: StateShape, prefix = ''): Generator<[path: string, shape: readonly number[]]> {
  for (const [name, node] of Object.entries(tree)) {
    if (isShape(node)) yield [prefix + name, node];
    else yield* shapes(node, `${prefix}${name}.`);
  }
}

/** A state of zeros: nothing remembered yet. */
export function zeroState<S extends TensorTree>(shape: StateShape): S {
  return Object.fromEntries(
    Object.entries(shape).map(([name, node]) => [name, isShape(node) ? zeros([...node]) : zeroState(node)]),
  ) as S;
}

/** Bytes of a state, in float32. */
export function stateBytes(shape: StateShape): number {
  let elements = 0;
  for (const [, dims] of shapes(shape)) elements += dims.reduce((a, b) => a * b, 1);
  return 4 * elements;
}

/**
 * @param where the function that received the state
 * @throws MnemixError `state` where a tensor is missing, too many, or of another shape
 */
export function checkState(where: string, state: TensorTree, shape: StateShape): void {
  const expected = new Map(shapes(shape));
  const found = new Map<string, Tensor>(entries(state));
  const wrong: string[] = [];
  for (const [path, dims] of expected) {
    const tensor = found.get(path);
    if (tensor === undefined) wrong.push(`${path} is missing`);
    else if (String(tensor.shape) !== String(dims))
      wrong.push(`${path} is [${tensor.shape.join(', ')}] instead of [${dims.join(', ')}]`);
  }
  for (const path of found.keys()) if (!expected.has(path)) wrong.push(`${path} is unknown`);
  if (wrong.length === 0) return;
  throw new MnemixError({
    code: 'state',
    where: `${where}(state)`,
    message: `the state is not one of this mixer for this batch: ${wrong.join('; ')}.`,
    fix: 'Pass a state that this mixer returned for the same number of sequences, or initialState(sequences).',
    detail: { wrong },
  });
}
