// Weights in several files, named as Hugging Face names them, with an index that says where each tensor lies.
import { checkConfig, entries, MnemixError, type Tensor, type TensorTree } from '@mnemix/tensor';

export const WEIGHTS_FILE = 'model.safetensors';
export const INDEX_FILE = 'model.safetensors.index.json';

/** Names of the files that hold weights, or say where they lie. */
export const isWeightsFile = (name: string): boolean =>
  name === INDEX_FILE || /^model(-\d{5,}-of-\d{5,})?\.safetensors$/.test(name);

export interface Shard {
  readonly name: string;
  readonly tensors: Readonly<Record<string, Tensor>>;
}

const bytesOf = (tensor: Tensor): number => 4 * tensor.size;

/**
 * Splits a tree, in its order, into files of at most `maxBytes` of weights each; a larger tensor has a file of its own.
 * A single file has the plain name.
 */
export function planShards(tree: TensorTree, maxBytes: number): Shard[] {
  checkConfig(
    maxBytes > 0,
    'maxShardBytes',
    `it is ${maxBytes}.`,
    'Use a positive number of bytes, e.g. 5e9.',
  );
  const groups: Record<string, Tensor>[] = [{}];
  let used = 0;
  for (const [name, tensor] of entries(tree)) {
    if (used > 0 && used + bytesOf(tensor) > maxBytes) {
      groups.push({});
      used = 0;
    }
    (groups.at(-1) as Record<string, Tensor>)[name] = tensor;
    used += bytesOf(tensor);
  }
  if (groups.length === 1) return [{ name: WEIGHTS_FILE, tensors: groups[0] as Record<string, Tensor> }];
  const number = (n: number): string => String(n).padStart(5, '0');
  return groups.map((tensors, i) => ({
    name: `model-${number(i + 1)}-of-${number(groups.length)}.safetensors`,
    tensors,
  }));
}

/** The content of {@link INDEX_FILE}. */
export function indexOf(shards: readonly Shard[]): object {
  const placed = shards.flatMap(({ name, tensors }) =>
    Object.entries(tensors).map(([path, tensor]) => ({ path, name, bytes: bytesOf(tensor) })),
  );
  return {
    metadata: { total_size: placed.reduce((sum, { bytes }) => sum + bytes, 0) },
    weight_map: Object.fromEntries(placed.map(({ path, name }) => [path, name])),
  };
}

/**
 * Tensor → file of an index; all of them plain names, since an index may come from anywhere.
 *
 * @param where the index's name, for errors
 * @throws MnemixError `checkpoint`
 */
export function readWeightMap(index: Readonly<Record<string, unknown>>, where: string): Map<string, string> {
  const { weight_map: weightMap } = index;
  const pairs = typeof weightMap === 'object' && weightMap !== null ? Object.entries(weightMap) : [];
  const isPlain = (name: unknown): boolean => typeof name === 'string' && /^[^/\\]+\.safetensors$/.test(name);
  const strange = pairs.find(([, name]) => !isPlain(name));
  if (pairs.length > 0 && strange === undefined) return new Map(pairs as [string, string][]);
  throw new MnemixError({
    code: 'checkpoint',
    where: `${where}: weight_map`,
    message: strange
      ? `"${strange[0]}" should lie in ${JSON.stringify(strange[1])}, which is no safetensors file of this folder.`
      : 'it is missing or empty.',
    fix: 'Restore the index that was saved with the shards.',
  });
}
