// Parameter trees to and from named host tensors, all or nothing.
import {
  entries,
  flatten,
  MnemixError,
  tensor,
  unflatten,
  type Tensor,
  type TensorTree,
} from '@mnemix/tensor';
import type { HostTensor } from './safetensors.ts';

/** Copies a tree to the host, under its path names. */
export async function toHost(tree: TensorTree): Promise<Record<string, HostTensor>> {
  const tensors: Record<string, HostTensor> = {};
  for (const [path, leaf] of entries(tree)) {
    tensors[path] = { shape: leaf.shape, data: (await leaf.data()) as Float32Array | Int32Array };
  }
  return tensors;
}

/** At most this many names in an error's text; all are in its `detail`. */
const NAMED = 5;

const list = (names: readonly string[]): string =>
  names.slice(0, NAMED).join(', ') + (names.length > NAMED ? ` and ${names.length - NAMED} more` : '');

const dtypeOf = ({ data }: HostTensor): 'int32' | 'float32' =>
  data instanceof Int32Array ? 'int32' : 'float32';

/** A host tensor on the current backend. */
export const toDevice = (host: HostTensor): Tensor => tensor(host.data, [...host.shape], dtypeOf(host));

/**
 * @param where the file's name, for errors
 * @throws MnemixError `checkpoint` naming the tensors that `like` misses, does not know, or has in another shape or dtype
 */
export function checkHost(
  like: TensorTree,
  tensors: Readonly<Record<string, HostTensor>>,
  where: string,
): void {
  const expected = flatten(like);
  const missing = Object.keys(expected).filter((name) => !Object.hasOwn(tensors, name));
  const extra = Object.keys(tensors).filter((name) => !Object.hasOwn(expected, name));
  const both = Object.entries(expected).flatMap(([name, leaf]) => {
    const found = tensors[name];
    return found === undefined ? [] : [{ name, leaf, found }];
  });
  const misshapen = both.filter(({ leaf, found }) => String(found.shape) !== String(leaf.shape));
  const mistyped = both.filter(({ leaf, found }) => dtypeOf(found) !== leaf.dtype);
  const wrong = missing.length + extra.length + misshapen.length + mistyped.length;
  if (wrong === 0) return;
  const shapes = misshapen.map(
    ({ name, leaf, found }) => `${name} [${found.shape}] instead of [${leaf.shape}]`,
  );
  const dtypes = mistyped.map(
    ({ name, leaf, found }) => `${name} ${dtypeOf(found)} instead of ${leaf.dtype}`,
  );
  const problems = Object.entries({
    missing,
    unknown: extra,
    'of another shape': shapes,
    'of another dtype': dtypes,
  }).filter(([, names]) => names.length > 0);
  throw new MnemixError({
    code: 'checkpoint',
    where,
    message: `the tensors are not those of this model; ${problems.map(([what, names]) => `${what}: ${list(names)}`).join('; ')}.`,
    fix: 'Load it with the configuration that it was saved with.',
    detail: {
      missing,
      extra,
      misshapen: misshapen.map(({ name }) => name),
      mistyped: mistyped.map(({ name }) => name),
    },
  });
}

/**
 * A tree of `like`'s form with the values of `tensors`. Nothing is allocated unless all of them fit.
 *
 * @param where the file's name, for errors
 * @throws MnemixError `checkpoint` naming the tensors that do not fit
 */
export function fromHost<T extends TensorTree>(
  like: T,
  tensors: Readonly<Record<string, HostTensor>>,
  where: string,
): T {
  checkHost(like, tensors, where);
  const leaves = Object.entries(tensors).map(([name, host]) => [name, toDevice(host)] as const);
  return unflatten(like, Object.fromEntries(leaves));
}
