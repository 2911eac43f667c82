// Parameter trees to and from named host tensors, all or nothing.
import { entries, flatten, MnemixError, tensor, unflatten, type TensorTree } from '@mnemix/tensor';
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

/**
 * A tree of `like`'s form with the values of `tensors`. Nothing is allocated unless all of them fit.
 *
 * @param where the file's name, for errors
 * @throws MnemixError `checkpoint` naming missing, extra and misshapen tensors
 */
export function fromHost<T extends TensorTree>(
  like: T,
  tensors: Readonly<Record<string, HostTensor>>,
  where: string,
): T {
  const expected = flatten(like);
  const missing = Object.keys(expected).filter((name) => !(name in tensors));
  const extra = Object.keys(tensors).filter((name) => !(name in expected));
  const misshapen = Object.keys(expected).filter(
    (name) => name in tensors && String(tensors[name]?.shape) !== String(expected[name]?.shape),
  );
  if (missing.length + extra.length + misshapen.length > 0) {
    const shapes = misshapen.map(
      (name) => `${name} [${tensors[name]?.shape}] instead of [${expected[name]?.shape}]`,
    );
    const problems = [
      ...(missing.length > 0 ? [`missing: ${list(missing)}`] : []),
      ...(extra.length > 0 ? [`unknown: ${list(extra)}`] : []),
      ...(shapes.length > 0 ? [`of another shape: ${list(shapes)}`] : []),
    ];
    throw new MnemixError({
      code: 'checkpoint',
      where,
      message: `the tensors are not those of this model; ${problems.join('; ')}.`,
      fix: 'Load it with the configuration that it was saved with.',
      detail: { missing, extra, misshapen },
    });
  }
  const leaves = Object.entries(tensors).map(([name, { shape, data }]) => {
    const dtype = data instanceof Int32Array ? 'int32' : 'float32';
    return [name, tensor(data, [...shape], dtype)] as const;
  });
  return unflatten(like, Object.fromEntries(leaves));
}
