// A checkpoint folder as bytes: config.json and safetensors, in one file or in shards with an index. Where the bytes come
// from — a disk, a download — is the caller's business.
import { disposeTree, entries, mapTree, MnemixError, Rng, zeros, type Tensor } from '@mnemix/tensor';
import { checkHost, toDevice, toHost } from './checkpoint.ts';
import type { LmConfig } from './config.ts';
import { fromFlaConfig, toFlaConfig, type FlaConfig } from './fla/config.ts';
import { parameterName } from './fla/names.ts';
import { createLm, type LanguageModel, type LmParams } from './model.ts';
import { decodeSafetensors, encodeSafetensors, type HostTensor } from './safetensors.ts';
import { INDEX_FILE, indexOf, planShards, readWeightMap, WEIGHTS_FILE } from './shards.ts';

export { INDEX_FILE, WEIGHTS_FILE } from './shards.ts';
export const CONFIG_FILE = 'config.json';

export interface Pretrained {
  readonly model: LanguageModel;
  readonly params: LmParams;
}

/** Reads a file of the folder; undefined where it does not exist. */
export type ReadFile = (name: string) => Promise<Uint8Array | undefined>;

/** Our own key in config.json, for models that fla cannot express. */
const OWN_KEY = 'mnemix';

/**
 * Loads a checkpoint: fla's folders by their model type, and our own. As in Hugging Face's library, a single weights file
 * comes before an index.
 *
 * @param where the folder's name, for errors
 * @throws MnemixError `checkpoint` or `file`; nothing is allocated unless everything fits
 */
export async function readPretrained(read: ReadFile, where: string): Promise<Pretrained> {
  const file = `${where}/${CONFIG_FILE}`;
  const model = readModel(parseJson(await need(read, CONFIG_FILE, where), file), file);
  const tensors = await readWeights(read, where);
  const like = model.init(zeroRng);
  try {
    const nameOf = parameterName(model.config);
    checkHost(renamed(like, nameOf), tensors, where);
    // A leaf's zeros go before its values come: the weights are never there twice.
    const params = mapTree(like, (leaf, path) => {
      leaf.dispose();
      return toDevice(tensors[nameOf(path)] as HostTensor);
    });
    return { model, params };
  } catch (cause) {
    disposeTree(like);
    throw cause;
  }
}

/** The leaves of a tree under their names in the files. */
const renamed = (tree: LmParams, nameOf: (path: string) => string): Record<string, Tensor> =>
  Object.fromEntries(Array.from(entries(tree), ([path, leaf]) => [nameOf(path), leaf]));

/** Gives tensors of zeros: what `init` makes with it has the shapes of the parameters, without the cost of chance. */
const zeroRng: Rng = Object.assign(Object.create(Rng.prototype) as Rng, {
  fold: () => zeroRng,
  bits: (count: number) => new Uint32Array(count),
  uniform: (shape: number[]) => zeros(shape),
  normal: (shape: number[]) => zeros(shape),
});

/** The model of a config.json; what is wrong with it is reported with the file's name. */
function readModel(json: Record<string, unknown>, where: string): LanguageModel {
  try {
    return createLm(OWN_KEY in json ? (json[OWN_KEY] as LmConfig) : fromFlaConfig(json, where));
  } catch (cause) {
    if (!(cause instanceof MnemixError) || cause.code !== 'config') throw cause;
    throw new MnemixError({
      code: 'checkpoint',
      where: OWN_KEY in json ? `${where}: ${OWN_KEY}` : where,
      message: 'it does not describe a model.',
      fix: cause.message,
      cause,
    });
  }
}

async function readWeights(read: ReadFile, where: string): Promise<Record<string, HostTensor>> {
  const single = await read(WEIGHTS_FILE);
  if (single !== undefined) return { ...decodeSafetensors(single, `${where}/${WEIGHTS_FILE}`).tensors };
  const index = await read(INDEX_FILE);
  if (index === undefined) throw absent(`${where}/${WEIGHTS_FILE}`);
  const file = `${where}/${INDEX_FILE}`;
  const weightMap = readWeightMap(parseJson(index, file), file);
  const tensors: Record<string, HostTensor> = {};
  for (const shard of new Set(weightMap.values())) {
    const { tensors: part } = decodeSafetensors(await need(read, shard, where), `${where}/${shard}`);
    for (const [name, value] of Object.entries(part)) {
      if (weightMap.get(name) !== shard) {
        throw new MnemixError({
          code: 'checkpoint',
          where: `${where}/${shard}`,
          message: `it holds "${name}", which the index does not place there.`,
          fix: 'Restore index and shards from the same checkpoint.',
        });
      }
      tensors[name] = value;
    }
  }
  return tensors;
}

export interface WriteOptions {
  /** Weights of more bytes than this are split over several files. Default 5·10⁹, as in Hugging Face's library. */
  readonly maxShardBytes?: number | undefined;
}

/** Files of a checkpoint folder in the order to write them, one at a time in memory: weights, their index, config.json. */
export async function* pretrainedFiles(
  { model, params }: Pretrained,
  { maxShardBytes = 5e9 }: WriteOptions = {},
): AsyncGenerator<readonly [name: string, bytes: Uint8Array<ArrayBuffer>]> {
  const shards = planShards(renamed(params, parameterName(model.config)), maxShardBytes);
  for (const { name, tensors } of shards)
    yield [name, encodeSafetensors({ tensors: await toHost(tensors), metadata: { format: 'pt' } })];
  if (shards.length > 1) yield [INDEX_FILE, jsonBytes(indexOf(shards))];
  const json: FlaConfig = toFlaConfig(model.config) ?? { model_type: 'mnemix', [OWN_KEY]: model.config };
  yield [CONFIG_FILE, jsonBytes(json)];
}

/** The files of a checkpoint folder, all in memory. fla loads them where it has such a model. */
export async function writePretrained(
  pretrained: Pretrained,
  options: WriteOptions = {},
): Promise<Record<string, Uint8Array<ArrayBuffer>>> {
  const files: Record<string, Uint8Array<ArrayBuffer>> = {};
  for await (const [name, bytes] of pretrainedFiles(pretrained, options)) files[name] = bytes;
  return files;
}

/** JSON as Python reads it: a number without end is `Infinity`. */
function jsonBytes(value: object): Uint8Array<ArrayBuffer> {
  const endless = '\u0000';
  const text = JSON.stringify(value, (_, entry: unknown) => (entry === Infinity ? endless : entry), 2);
  return new TextEncoder().encode(`${text.replaceAll(JSON.stringify(endless), 'Infinity')}\n`);
}

async function need(read: ReadFile, name: string, where: string): Promise<Uint8Array> {
  const bytes = await read(name);
  if (bytes === undefined) throw absent(`${where}/${name}`);
  return bytes;
}

const absent = (where: string): MnemixError =>
  new MnemixError({
    code: 'file',
    where,
    message: 'the file does not exist.',
    fix: 'Pass a checkpoint folder with config.json and model.safetensors (or its shards and index).',
  });

/** JSON as Python writes it too: with numbers that are none (`"dt_limit": [0.0, Infinity]`). */
function parsePythonJson(text: string): unknown {
  const numbers: Record<string, string> = { Infinity: '1e999', '-Infinity': '-1e999', NaN: 'null' };
  return JSON.parse(text.replace(/"(?:[^"\\]|\\.)*"|-?Infinity|NaN/g, (found) => numbers[found] ?? found));
}

function parseJson(bytes: Uint8Array, where: string): Record<string, unknown> {
  try {
    const value = parsePythonJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch (cause) {
    throw new MnemixError({
      code: 'checkpoint',
      where,
      message: 'it is not valid JSON.',
      fix: 'Restore the file.',
      cause,
    });
  }
  throw new MnemixError({
    code: 'checkpoint',
    where,
    message: 'it is not a JSON object.',
    fix: 'Restore the file.',
  });
}
