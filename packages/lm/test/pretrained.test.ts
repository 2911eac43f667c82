// Checkpoint folders that are not what they should be, or come in other forms.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { disposeTree, flatten, memory, openBackend, Rng } from '@mnemix/tensor';
import { readModelFixture } from '@mnemix/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  createLm,
  decodeSafetensors,
  encodeSafetensors,
  readPretrained,
  writePretrained,
  type HostTensor,
  type LmConfig,
  type ReadFile,
} from '../src/index.ts';

const { folder } = readModelFixture('mom');
let files: Record<string, Uint8Array>;

beforeAll(async () => {
  await openBackend('wasm');
  files = {
    'config.json': await readFile(join(folder, 'config.json')),
    'model.safetensors': await readFile(join(folder, 'model.safetensors')),
  };
});

const from =
  (changed: Record<string, Uint8Array | undefined>): ReadFile =>
  async (name) =>
    name in changed ? changed[name] : files[name];

const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const config = (): Record<string, unknown> => JSON.parse(new TextDecoder().decode(files['config.json']));
const tensors = (): Record<string, HostTensor> => ({
  ...decodeSafetensors(files['model.safetensors']!, 'file').tensors,
});
const weights = (changed: Record<string, HostTensor>): Uint8Array =>
  encodeSafetensors({ tensors: changed, metadata: {} });

/** The error, and the proof that nothing was allocated on the way to it. */
async function failure(changed: Record<string, Uint8Array | undefined>): Promise<Error & { code?: string }> {
  const before = memory().numTensors;
  const error = await readPretrained(from(changed), 'folder').then(
    () => new Error('it loaded'),
    (reason: Error) => reason,
  );
  expect(memory().numTensors).toBe(before);
  return error;
}

/** The upper halves of float32 words: what BF16 keeps. */
function bf16Bytes(data: Float32Array): Uint8Array {
  const words = new Uint32Array(data.buffer, data.byteOffset, data.length);
  return new Uint8Array(Uint16Array.from(words, (word) => word >>> 16).buffer);
}

describe('a checkpoint folder', () => {
  it('loads from shards with an index', async () => {
    const names = Object.keys(tensors());
    const half = (odd: number) =>
      Object.fromEntries(names.filter((_, i) => i % 2 === odd).map((name) => [name, tensors()[name]!]));
    const { params } = await readPretrained(
      from({
        'model.safetensors': undefined,
        'model.safetensors.index.json': json({
          weight_map: Object.fromEntries(names.map((name, i) => [name, `part-${i % 2}.safetensors`])),
        }),
        'part-0.safetensors': weights(half(0)),
        'part-1.safetensors': weights(half(1)),
      }),
      'folder',
    );
    for (const [name, leaf] of Object.entries(flatten(params)))
      expect(leaf.dataSync()).toEqual(tensors()[name]!.data);
    disposeTree(params);
  });

  it('loads BF16 weights as the float32 that they stand for', async () => {
    const header: Record<string, unknown> = {};
    const parts: Uint8Array[] = [];
    let offset = 0;
    for (const [name, { shape, data }] of Object.entries(tensors())) {
      const bytes = bf16Bytes(data as Float32Array);
      header[name] = { dtype: 'BF16', shape, data_offsets: [offset, (offset += bytes.length)] };
      parts.push(bytes);
    }
    const text = new TextEncoder().encode(JSON.stringify(header));
    const length = new Uint8Array(new BigUint64Array([BigInt(text.length)]).buffer);
    const { params } = await readPretrained(
      from({ 'model.safetensors': Buffer.concat([length, text, ...parts]) }),
      'folder',
    );
    const name = 'model.embeddings.weight';
    expect(flatten(params)[name]!).toBeCloseRms(tensors()[name]!.data, 8e-3);
    disposeTree(params);
  });

  it.each([
    ['no config.json', { 'config.json': undefined }, 'file', /folder\/config\.json: the file does not exist/],
    ['no weights', { 'model.safetensors': undefined }, 'file', /model\.safetensors: the file does not exist/],
    [
      'a torn config.json',
      { 'config.json': new TextEncoder().encode('{"model_type":') },
      'checkpoint',
      /config\.json: it is not valid JSON/,
    ],
  ])('is refused with %s', async (_, changed, code, message) => {
    const error = await failure(changed);
    expect(error.message).toMatch(message);
    expect(error.code).toBe(code);
  });

  it.each([
    ['model_type', 'bert', /config\.json: model_type: "bert" is not supported.*mom/],
    [
      'attn',
      { layers: [7], num_heads: 2 },
      /config\.json: attn\.layers: expected a list of layers from 0 to 1/,
    ],
    ['attn', { layers: [1] }, /config\.json: attn: num_heads: expected a number/],
    ['attn', [1], /config\.json: attn: expected an object/],
    ['attn', { layers: [1], num_heads: 3 }, /softmaxAttention\(headWidth\): it is 21\.3/],
    ['mom_backend', 'gla', /config\.json: mom_backend/],
    ['num_heads', 'two', /config\.json: num_heads: expected a number, found "two"/],
    ['vocab_size', -3, /config\.json: vocab_size: expected a whole number from 1 on/],
    ['topk', 9, /config\.json: it does not describe a model\. mom\(topK\).*9 of 4 memories/],
    ['expand_v', 0.3, /config\.json: .*gatedDeltaNet\(expandV\): 16·0\.3/],
    ['conv_size', 0, /config\.json: .*gatedDeltaNet\(convolution\): it is 0/],
    ['shared_mem', 'no', /config\.json: shared_mem: "no" is not supported.*true or false/],
    ['intermediate_size', '128', /config\.json: intermediate_size: expected a number/],
    [
      'mnemix',
      null,
      /config\.json: mnemix: it does not describe a model\. the configuration: expected an object/,
    ],
    ['mnemix', { vocabSize: 3 }, /config\.json: mnemix: .* width: it is undefined/],
    [
      'mnemix',
      {
        vocabSize: 3,
        width: 4,
        layers: 1,
        mixer: { type: 'linear_attention', heads: 1, featureMap: 'taylor' },
      },
      /mnemix: .*linearAttention\(featureMap\): there is no "taylor"/,
    ],
  ])('is refused where %s is %j', async (key, value, message) => {
    const error = await failure({ 'config.json': json({ ...config(), [key]: value }) });
    expect(error.message).toMatch(message);
    expect(error.code).toBe('checkpoint');
  });

  it.each([
    ['linear_attn', { feature_map: 'taylor' }, /feature_map: "taylor" is not supported.*dpfp/],
    ['delta_net', { qk_activation: 'gelu' }, /qk_activation: "gelu" is not supported.*silu or relu/],
    ['delta_net', { qk_norm: 'l1' }, /qk_norm: "l1" is not supported.*l2 or sum/],
    ['delta_net', { use_beta: 1 }, /use_beta: 1 is not supported/],
    ['gla', { use_short_conv: false, clamp_min: 'low' }, /clamp_min: expected a number/],
  ])('of %s is refused with %j', async (model_type, changed, message) => {
    const error = await failure({ 'config.json': json({ ...config(), model_type, ...changed }) });
    expect(error.message).toMatch(message);
    expect(error.code).toBe('checkpoint');
  });

  it('is refused with weights of whole numbers', async () => {
    const name = 'model.norm.weight';
    const changed = { ...tensors(), [name]: { shape: [64], data: new Int32Array(64) } };
    const error = await failure({ 'model.safetensors': weights(changed) });
    expect(error.message).toMatch(/of another dtype: model\.norm\.weight int32 instead of float32/);
    expect(error.code).toBe('checkpoint');
  });

  it.each([
    ['points outside of the folder', { 'lm_head.weight': '../part.safetensors' }],
    ['names no file', { 'lm_head.weight': 3 }],
    ['is empty', {}],
    ['is no map', 'part.safetensors'],
  ])('is refused with an index that %s', async (_, weight_map) => {
    const error = await failure({
      'model.safetensors': undefined,
      'model.safetensors.index.json': json({ weight_map }),
    });
    expect(error.message).toMatch(/^folder\/model\.safetensors\.index\.json: weight_map/);
    expect(error.code).toBe('checkpoint');
  });

  it('is refused with the weights of another model, naming the differences', async () => {
    const { 'lm_head.weight': _, ...missing } = tensors();
    const name = 'model.norm.weight';
    const changed = {
      ...missing,
      extra: { shape: [1], data: Float32Array.of(1) },
      [name]: { shape: [3], data: new Float32Array(3) },
    };
    const error = await failure({ 'model.safetensors': weights(changed) });
    expect(error.message).toMatch(
      /folder: .*missing: lm_head\.weight; unknown: extra; of another shape: model\.norm\.weight \[3\] instead of \[64\]/,
    );
    expect(error.code).toBe('checkpoint');
  });

  it('is refused when cut off or when an offset was damaged', async () => {
    const bytes = files['model.safetensors']!;
    expect((await failure({ 'model.safetensors': bytes.subarray(0, bytes.length - 4) })).code).toBe(
      'checkpoint',
    );
    const text = new TextDecoder('latin1').decode(bytes);
    const at = text.indexOf('"data_offsets":[') + '"data_offsets":['.length;
    const damaged = bytes.slice();
    damaged[at] = '9'.charCodeAt(0);
    const error = await failure({ 'model.safetensors': damaged });
    expect(error.code).toBe('checkpoint');
    expect(error.message).toMatch(/^folder\/model\.safetensors/);
  });

  it('is saved with ratios from which fla, which truncates, gets the same sizes', async () => {
    const model = createLm({
      vocabSize: 3,
      width: 110,
      layers: 1,
      mlp: { hidden: 4 },
      mixer: { type: 'gla', heads: 1, expandK: 29 / 110, expandV: 58 / 110, normEps: 1e-6 },
    });
    const params = model.init(Rng.of(1));
    const written = await writePretrained({ model, params });
    const saved = JSON.parse(new TextDecoder().decode(written['config.json']));
    expect(saved.model_type).toBe('gla');
    expect(Math.floor(110 * saved.expand_k)).toBe(29);
    expect(Math.floor(110 * saved.expand_v)).toBe(58);
    const again = await readPretrained(async (name) => written[name], 'folder');
    expect(flatten(again.params)['model.layers.0.attn.k_proj.weight']!.shape).toEqual([29, 110]);
    disposeTree({ before: params, after: again.params });
  });

  const base = { vocabSize: 7, width: 8, layers: 1, mlp: { hidden: 4 } };
  const momMixer = {
    type: 'mom',
    memories: 2,
    topK: 1,
    cell: { type: 'gated_delta_net', heads: 1, headWidth: 4, normEps: 1e-6 },
  } as const;
  it.each<[string, LmConfig]>([
    [
      'a pattern of mixers',
      {
        ...base,
        layers: 3,
        mlp: null,
        mixer: [
          { type: 'gla', heads: 2, gate: false },
          { type: 'mom', memories: 2, topK: 1, cell: { type: 'retnet', heads: 1 } },
        ],
      },
    ],
    ['a balance loss for each layer', { ...base, mixer: momMixer, auxiliary: { balanceScope: 'layer' } }],
    ['a z-loss', { ...base, mixer: momMixer, auxiliary: { z: 1e-3 } }],
  ])('keeps what fla cannot express under a key of our own: %s', async (_, configuration) => {
    const model = createLm(configuration);
    const params = model.init(Rng.of(1));
    const written = await writePretrained({ model, params });
    const again = await readPretrained(async (name) => written[name], 'folder');
    expect(again.model.config).toEqual(model.config);
    for (const [name, leaf] of Object.entries(flatten(params))) {
      expect(flatten(again.params)[name]!.dataSync()).toEqual(leaf.dataSync());
    }
    disposeTree(params);
    disposeTree(again.params);
  });
});
