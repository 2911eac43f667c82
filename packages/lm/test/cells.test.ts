// The model of every cell of the catalogue, in the block that its paper gives it: it learns, alone and inside of a
// Mixture-of-Memories; it decodes as it trains; it comes back from disk, and hybrids with it.
import { cellEntry, cells, type CellName } from '@mnemix/cells';
import { adamW } from '@mnemix/optim';
import {
  disposeTree,
  flatten,
  memory,
  openBackend,
  reshape,
  Rng,
  slice,
  tensor1d,
  tensor2d,
  tidy,
  valueAndGrad,
  type Tensor2D,
} from '@mnemix/tensor';
import '@mnemix/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  cellBlock,
  createLm,
  readPretrained,
  toFlaConfig,
  writePretrained,
  type CellConfig,
  type LanguageModel,
  type LmConfig,
  type LmParams,
  type MixerConfig,
} from '../src/index.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

const names = Object.keys(cells) as CellName[];

function cellOf(name: CellName): CellConfig {
  const { width: _, ...sizes } = cellEntry('test', name).ofSizes({
    width: 8,
    heads: 1,
    keyWidth: 4,
    valueWidth: 4,
  });
  return { type: name, ...sizes } as CellConfig;
}

const routed = (cell: CellConfig): MixerConfig => ({ type: 'mom', memories: 3, topK: 2, cell });
const attention = { type: 'attention', heads: 2, window: 5 } as const;
const modelOf = (name: CellName, mixer: LmConfig['mixer'], hidden = 0): LmConfig => ({
  vocabSize: 6,
  width: 8,
  layers: 2,
  mixer,
  ...cellBlock(name, hidden),
});

/** Sequences that count upwards from a random start: the next token follows from this one. */
function batch(index: number): { ids: Tensor2D; targets: Tensor2D } {
  const starts = Rng.of(5).fold(index).integers(4, 0, 6);
  const from = (first: number) =>
    tensor2d(
      Array.from(starts, (start) => Array.from({ length: 8 }, (_, t) => (start + first + t) % 6)),
      undefined,
      'int32',
    );
  return { ids: from(0), targets: from(1) };
}

/** Losses of the first and the last step. */
function train(model: LanguageModel, steps: number): [first: number, last: number] {
  const optimiser = adamW({ clipNorm: 1 });
  let params = model.init(Rng.of(1));
  let state = optimiser.init(params);
  const losses: number[] = [];
  for (let index = 0; index < steps; index++) {
    const { value, grads } = tidy(() => {
      const { ids, targets } = batch(index);
      return valueAndGrad((p: LmParams) => ({ value: model.loss(p, ids, targets).loss }))(params) as never;
    }) as ReturnType<ReturnType<typeof valueAndGrad<LmParams>>>;
    losses.push(value.dataSync()[0]!);
    const { gradNorm, leafNorms, ...after } = optimiser.update(params, grads, state, { learningRate: 0.02 });
    ({ params, state } = after);
    disposeTree({ value, gradNorm, leafNorms });
  }
  disposeTree({ params, m: state.m, v: state.v });
  return [losses[0]!, losses.at(-1)!];
}

/** Logits of a whole sequence, and of the same a token at a time from the empty state. */
function expectToStep(model: LanguageModel): void {
  tidy(() => {
    const params = model.init(Rng.of(2));
    const { ids } = batch(1);
    const { logits } = model.forward(params, ids);
    let state = model.initialState(4);
    for (let t = 0; t < 8; t++) {
      const column = reshape(slice(ids, [0, t], [4, 1]), [4]);
      const token = tensor1d([...column.dataSync()], 'int32');
      const result = model.step(params, token, state);
      expect(result.logits).toBeCloseRms(reshape(slice(logits, [0, t, 0], [4, 1, 6]), [4, 6]), 1e-4);
      state = result.state;
    }
  });
}

async function expectToComeBack(config: LmConfig): Promise<void> {
  const model = createLm(config);
  const params = model.init(Rng.of(3));
  const files = await writePretrained({ model, params });
  const again = await readPretrained(async (name) => files[name], 'folder');
  const [before, after] = [flatten(params), flatten(again.params)];
  expect(Object.keys(after)).toEqual(Object.keys(before));
  for (const [path, leaf] of Object.entries(before)) expect(after[path]!.dataSync()).toEqual(leaf.dataSync());
  tidy(() => {
    const { ids } = batch(0);
    const logits = [model.forward(params, ids), again.model.forward(again.params, ids)];
    expect(logits[1]!.logits.dataSync()).toEqual(logits[0]!.logits.dataSync());
  });
  disposeTree(params);
  disposeTree(again.params);
}

describe.each(names)('a model of %s', (name) => {
  const alone = modelOf(name, cellOf(name));
  const mixture = modelOf(name, routed(cellOf(name)));

  it('learns to count, alone and inside Mixture-of-Memories, and leaks nothing', () => {
    const before = memory().numTensors;
    for (const config of [alone, mixture]) {
      const [first, last] = train(createLm(config), 60);
      expect(first).toBeGreaterThan(1.5);
      expect(last).toBeLessThan(0.5);
    }
    expect(memory().numTensors).toBe(before);
  });

  it('steps a token at a time as it reads a whole sequence, alone, routed and beside attention', () => {
    for (const config of [alone, mixture, modelOf(name, [cellOf(name), attention], 16)])
      expectToStep(createLm(config));
  });

  it('comes back from disk bit for bit, alone, routed and beside attention', async () => {
    for (const config of [alone, mixture, modelOf(name, [cellOf(name), attention], 16)])
      await expectToComeBack(config);
  });
});

describe('names in checkpoints', () => {
  const filed = async (config: LmConfig): Promise<string[]> => {
    const model = createLm(config);
    const params = model.init(Rng.of(1));
    const { 'model.safetensors': file } = await writePretrained({ model, params });
    disposeTree(params);
    const header = new TextDecoder().decode(
      file!.subarray(8, 8 + Number(new DataView(file!.buffer).getBigUint64(0, true))),
    );
    return Object.keys(JSON.parse(header) as object);
  };

  it('are those of fla for Mamba-2', async () => {
    const found = await filed(modelOf('mamba2', cellOf('mamba2')));
    expect(found).toContain('backbone.layers.1.mixer.in_proj.weight');
    expect(found).toContain('backbone.layers.0.norm.weight');
    expect(found).toContain('backbone.embeddings.weight');
    expect(found).toContain('backbone.norm_f.weight');
  });

  it.each(['rwkv6', 'rwkv7'] as const)('are those of fla for %s', async (name) => {
    const found = await filed(modelOf(name, cellOf(name), 16));
    for (const expected of [
      'model.layers.0.pre_norm.bias',
      'model.layers.1.attn_norm.bias',
      'model.layers.1.ffn_norm.weight',
      'model.layers.1.ffn.value.weight',
      'model.norm.bias',
    ])
      expect(found).toContain(expected);
    expect(found).not.toContain('model.layers.1.pre_norm.bias');
  });

  it('keep what the layers of HGRN2 share with the model', async () => {
    expect(await filed(modelOf('hgrn2', cellOf('hgrn2'), 16))).toContain('model.lower_bounds');
  });
});

describe('hybrids', () => {
  const gla = { type: 'gla', heads: 1, expandK: 1, normEps: 1e-6 } as const;
  const hybrid: LmConfig = { ...modelOf('gla', [gla, attention], 16), layers: 4, normEps: 1e-6 };

  it('are told to fla as the layers of attention', () => {
    expect(toFlaConfig(hybrid)).toMatchObject({
      model_type: 'gla',
      attn: {
        layers: [1, 3],
        num_heads: 2,
        num_kv_heads: 2,
        window_size: 5,
        rope_theta: 10000,
        qkv_bias: false,
      },
    });
  });

  it('of several cells are kept in our own words', () => {
    expect(toFlaConfig({ ...hybrid, mixer: [gla, { type: 'retnet', heads: 1 }] })).toBeUndefined();
  });

  it('let RWKV-7 hand its first values on past a layer of attention', () => {
    const rwkv7 = cellOf('rwkv7');
    expectToStep(createLm({ ...modelOf('rwkv7', [rwkv7, attention, rwkv7]), layers: 3 }));
  });

  it('say what is missing where the first layer is not RWKV-7', () => {
    const model = createLm(modelOf('rwkv7', [attention, cellOf('rwkv7')]));
    tidy(() => {
      expect(() => model.forward(model.init(Rng.of(1)), batch(0).ids)).toThrow(/rwkv7.*first_values/s);
    });
  });
});
