// A checkpoint folder as bytes: config.json and safetensors, in one file or in shards with an index. Where the bytes come
// from — a disk, a download — is the caller's business.
import { disposeTree, MnemixError, Rng } from '@mnemix/tensor';
import { fromHost, toHost } from './checkpoint.ts';
import type { LmConfig } from './config.ts';
import { fromFlaConfig, toFlaConfig, type FlaConfig } from './fla/config.ts';
import { createLm, type LanguageModel, type LmParams } from './model.ts';
import { decodeSafetensors, encodeSafetensors, type HostTensor } from './safetensors.ts';

export const CONFIG_FILE = 'config.json';
export const WEIGHTS_FILE = 'model.safetensors';
export const INDEX_FILE = 'model.safetensors.index.json';

export interface Pretrained {
  readonly model: LanguageModel;
  readonly params: LmParams;
}

/** Reads a file of the folder; undefined where it does not exist. */
export type ReadFile = (name: string) => Promise<Uint8Array | undefined>;

/** Our own key in config.json, for models that fla cannot express. */
const OWN_KEY = 'mnemix';

/**
 * Loads a checkpoint: fla's folders by their model type, and our own.
 *
 * @param where the folder's name, for errors
 * @throws MnemixError `checkpoint` or `file`; nothing is allocated unless everything fits
 */
export async function readPretrained(read: ReadFile, where: string): Promise<Pretrained> {
  const json = parseJson(await need(read, CONFIG_FILE, where), `${where}/${CONFIG_FILE}`);
  const config = (json[OWN_KEY] as LmConfig | undefined) ?? fromFlaConfig(json, `${where}/${CONFIG_FILE}`);
  const tensors = await readWeights(read, where);
  const model = createLm(config);
  const like = model.init(Rng.of(0));
  try {
    return { model, params: fromHost(like, tensors, where) };
  } finally {
    disposeTree(like);
  }
}

async function readWeights(read: ReadFile, where: string): Promise<Record<string, HostTensor>> {
  const index = await read(INDEX_FILE);
  if (index === undefined) {
    return {
      ...decodeSafetensors(await need(read, WEIGHTS_FILE, where), `${where}/${WEIGHTS_FILE}`).tensors,
    };
  }
  const { weight_map: weightMap } = parseJson(index, `${where}/${INDEX_FILE}`);
  if (typeof weightMap !== 'object' || weightMap === null) {
    throw new MnemixError({
      code: 'checkpoint',
      where: `${where}/${INDEX_FILE}: weight_map`,
      message: 'it is missing.',
      fix: 'Restore the index that was saved with the shards.',
    });
  }
  const shards = new Set(Object.values(weightMap as Record<string, string>));
  const tensors: Record<string, HostTensor> = {};
  for (const shard of shards) {
    const { tensors: part } = decodeSafetensors(await need(read, shard, where), `${where}/${shard}`);
    for (const [name, value] of Object.entries(part)) {
      if ((weightMap as Record<string, string>)[name] !== shard) {
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

/** The files of a checkpoint folder. fla loads them where it has such a model. */
export async function writePretrained({
  model,
  params,
}: Pretrained): Promise<Record<string, Uint8Array<ArrayBuffer>>> {
  const json: FlaConfig = toFlaConfig(model.config) ?? { model_type: 'mnemix', [OWN_KEY]: model.config };
  return {
    [CONFIG_FILE]: new TextEncoder().encode(`${JSON.stringify(json, null, 2)}\n`),
    [WEIGHTS_FILE]: encodeSafetensors({ tensors: await toHost(params), metadata: { format: 'pt' } }),
  };
}

async function need(read: ReadFile, name: string, where: string): Promise<Uint8Array> {
  const bytes = await read(name);
  if (bytes !== undefined) return bytes;
  throw new MnemixError({
    code: 'file',
    where: `${where}/${name}`,
    message: 'the file does not exist.',
    fix: 'Pass a checkpoint folder with config.json and model.safetensors (or its shards and index).',
  });
}

function parseJson(bytes: Uint8Array, where: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
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
