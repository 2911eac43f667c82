// B'MOJO in models: hybrids of memories and attention are its special cases, a Mixture-of-Memories may be its fading memory, and
// what a policy asks the model for reaches every layer.
import { adamW } from '@mnemix/optim';
import {
  concat,
  disposeTree,
  flatten,
  leaves,
  mapTree,
  memory,
  openBackend,
  reshape,
  Rng,
  slice,
  tensor2d,
  tidy,
  valueAndGrad,
  type ParamTree,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
} from '@mnemix/tensor';
import '@mnemix/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  createLm,
  readPretrained,
  writePretrained,
  type AttentionMixerConfig,
  type BmojoMixerConfig,
  type CellConfig,
  type LmConfig,
  type LmParams,
  type MixerConfig,
} from '../src/index.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

const [width, vocabSize, tokens] = [8, 7, 13];
const shape = { vocabSize, width, mlp: { hidden: 6 } };

/** Random tokens, and those that follow. */
function batchOf(seed: number): { ids: Tensor2D; targets: Tensor2D } {
  const drawn = Rng.of(seed).integers(3 * (tokens + 1), 0, vocabSize);
  const rows = tensor2d(drawn, [3, tokens + 1], 'int32');
  return {
    ids: slice(rows, [0, 0], [3, tokens]) as Tensor2D,
    targets: slice(rows, [0, 1], [3, tokens]) as Tensor2D,
  };
}

/** Sequences that count upwards from a random start. */
function counting(index: number): { ids: Tensor2D; targets: Tensor2D } {
  const starts = Rng.of(5).fold(index).integers(4, 0, vocabSize);
  const from = (first: number): Tensor2D =>
    tensor2d(
      Array.from(starts, (start) => Array.from({ length: 8 }, (_, t) => (start + first + t) % vocabSize)),
      undefined,
      'int32',
    );
  return { ids: from(0), targets: from(1) };
}

const columnOf = (ids: Tensor2D, t: number): Tensor1D =>
  reshape(slice(ids, [0, t], [ids.shape[0], 1]), [ids.shape[0]]) as Tensor1D;

/** Matrices wide enough for attention and gates to be far from even. */
const drawnParams = (params: LmParams): LmParams =>
  mapTree(params, (leaf, path) => (leaf.rank === 2 ? Rng.of(3).fold(path).normal(leaf.shape, 0, 0.4) : leaf));

const identity = (): Tensor =>
  tensor2d(
    Array.from({ length: width }, (_, i) => Array.from({ length: width }, (__, j) => Number(i === j))),
  );

/** A memory alone: its own output is all that a query sees. */
const alone = (cell: CellConfig): BmojoMixerConfig => ({
  type: 'bmojo',
  heads: 2,
  window: 4,
  inContext: false,
  fading: cell,
  fadingTokens: { source: 'current', norm: false },
});
/** Attention alone: no memory. */
const windowOf = ({
  type: _,
  window = 64,
  qkNorm = false,
  ropeBase = 10000,
  ...sizes
}: AttentionMixerConfig) => ({ type: 'bmojo', window, qkNorm, ropeBase, ...sizes }) as BmojoMixerConfig;
const asBmojo = (mixer: MixerConfig): MixerConfig =>
  mixer.type === 'attention' ? windowOf(mixer) : alone(mixer as CellConfig);

const attention = { type: 'attention', heads: 2 } as const;
const delta = { type: 'gated_delta_net', heads: 2, headWidth: 4, expandV: 1 } as const;

const hybrids: Record<string, readonly MixerConfig[]> = {
  'three memories and one attention, as in Jamba': [
    { type: 'mamba2', heads: 2, stateWidth: 4 },
    { type: 'gla', heads: 2 },
    { type: 'mamba2', heads: 4, stateWidth: 4 },
    { ...attention, kvHeads: 1 },
  ],
  'a memory and a sliding window in turn': [
    delta,
    { ...attention, window: 4 },
    delta,
    { ...attention, window: 4 },
  ],
  'memories that take part in what crosses layers': [
    { type: 'rwkv7', headWidth: 4 },
    { type: 'hgrn2', heads: 2 },
    { ...attention, qkNorm: true, ropeBase: 0 },
    { type: 'rwkv7', headWidth: 4 },
  ],
};

describe.each(Object.entries(hybrids))('a hybrid of %s', (_, mixers) => {
  const plain = createLm({ ...shape, layers: 4, mixer: mixers });
  const special = createLm({ ...shape, layers: 4, mixer: mixers.map(asBmojo) });

  /** The same parameters: a memory's own below `fading`, its output projected by nothing. */
  const toSpecial = (params: LmParams): LmParams => {
    const start = special.init(Rng.of(1));
    const layers = params.model.layers.map((block, i) => {
      if (mixers[i]!.type === 'attention') return block;
      const own = start.model.layers[i]!.attn as Record<string, ParamTree>;
      const [v, o] = [own.v_proj, own.o_proj].map(() => ({ weight: identity() }));
      return { ...block, attn: { ...own, v_proj: v, o_proj: o, fading: block.attn } };
    });
    return { ...params, model: { ...params.model, layers } } as LmParams;
  };

  it('equals the same made of B’MOJO’s special cases: outputs, gradients, steps', () => {
    tidy(() => {
      const params = drawnParams(plain.init(Rng.of(1)));
      const { ids, targets } = batchOf(2);
      const wanted = plain.forward(params, ids).logits;
      expect(special.forward(toSpecial(params), ids).logits).toBeCloseRms(wanted, 1e-5);

      const gradients = [plain, special].map((model, i) => {
        const loss = (tree: LmParams) => ({
          value: model.loss(i === 0 ? tree : toSpecial(tree), ids, targets).loss,
        });
        return flatten(valueAndGrad(loss)(params).grads);
      });
      for (const [path, gradient] of Object.entries(gradients[0]!))
        expect(gradients[1]![path], path).toBeCloseRms(gradient, 1e-4);

      const given = toSpecial(params);
      let state = special.initialState(3);
      for (let t = 0; t < tokens; t++) {
        const result = special.step(given, columnOf(ids, t), state);
        const row = reshape(slice(wanted, [0, t, 0], [3, 1, vocabSize]), [3, vocabSize]);
        expect(result.logits).toBeCloseRms(row, 1e-5);
        ({ state } = result);
      }
    });
  });
});

describe('B’MOJO over a Mixture-of-Memories', () => {
  const config: LmConfig = {
    ...shape,
    layers: 2,
    mixer: {
      type: 'bmojo',
      heads: 2,
      window: 4,
      fading: { type: 'mom', memories: 3, topK: 2, cell: delta },
      fadingTokens: { count: 2 },
      eidetic: { slots: 3, span: 1, policy: { type: 'innovation', taps: [1, 1], skipFirst: 1 } },
    },
  };

  it('learns, balances its routers, and leaks nothing', () => {
    const model = createLm(config);
    const optimiser = adamW({ clipNorm: 1 });
    const before = memory().numTensors;
    let params = model.init(Rng.of(1));
    let state = optimiser.init(params);
    const losses: number[] = [];
    for (let step = 0; step < 25; step++) {
      const { value, grads } = tidy(() => {
        const { ids, targets } = counting(step);
        const { value: loss, grads: slopes } = valueAndGrad((tree: LmParams) => ({
          value: model.loss(tree, ids, targets).loss,
        }))(params);
        return { value: loss, grads: slopes } as never;
      }) as { value: Tensor; grads: LmParams };
      losses.push(value.dataSync()[0]!);
      const { gradNorm, leafNorms, ...after } = optimiser.update(params, grads, state, {
        learningRate: 0.02,
      });
      ({ params, state } = after);
      disposeTree({ value, gradNorm, leafNorms });
    }
    expect(losses.at(-1)!).toBeLessThan(losses[0]! / 2);
    tidy(() => {
      const { ids, targets } = counting(0);
      const { routings } = model.forward(params, ids);
      expect(routings.map(({ logits }) => logits.shape)).toEqual([
        [32, 3],
        [32, 3],
      ]);
      const { load, auxiliary } = model.loss(params, ids, targets);
      expect(load!.shape).toEqual([3]);
      expect(auxiliary.dataSync()[0]).toBeGreaterThan(0);
    });
    disposeTree({ params, m: state.m, v: state.v });
    expect(memory().numTensors).toBe(before);
  });

  it('decodes as it trains', () => {
    tidy(() => {
      const model = createLm(config);
      const params = model.init(Rng.of(2));
      const { ids } = batchOf(3);
      const { logits, state: whole } = model.forward(params, ids);
      let state = model.initialState(3);
      for (let t = 0; t < tokens; t++) {
        const result = model.step(params, columnOf(ids, t), state);
        const row = reshape(slice(logits, [0, t, 0], [3, 1, vocabSize]), [3, vocabSize]);
        expect(result.logits).toBeCloseRms(row, 1e-4);
        ({ state } = result);
      }
      expect(leaves(state).reduce((bytes, leaf) => bytes + 4 * leaf.size, 0)).toBe(model.stateBytes(3));
      expect(Object.keys(flatten(state)).sort()).toEqual(Object.keys(flatten(whole)).sort());
    });
  });

  it('comes back from a checkpoint', async () => {
    const model = createLm(config);
    const params = model.init(Rng.of(3));
    const files = await writePretrained({ model, params });
    const again = await readPretrained(async (name) => files[name], 'folder');
    expect(again.model.config).toEqual(config);
    tidy(() => {
      const { ids } = batchOf(1);
      const [before, after] = [model.forward(params, ids), again.model.forward(again.params, ids)];
      expect(after!.logits.dataSync()).toEqual(before!.logits.dataSync());
    });
    disposeTree({ before: params, after: again.params });
  });

  it('counts the memories that a token is not routed to as idle', () => {
    tidy(() => {
      const counts = [3, 2].map((memories) => {
        const { mixer } = config;
        const own = mixer as BmojoMixerConfig;
        const model = createLm({
          ...config,
          mixer: { ...own, fading: { type: 'mom', memories, topK: 2, cell: delta } },
        });
        return model.parameterCount(model.init(Rng.of(1)));
      });
      expect(counts[1]!.activated).toBe(counts[1]!.total);
      // One more row of the gate in each of two layers.
      expect(counts[0]!.activated).toBe(counts[1]!.activated + 2 * width);
    });
  });
});

describe('marks for the oracle', () => {
  const config: LmConfig = {
    ...shape,
    layers: 2,
    mixer: { type: 'bmojo', heads: 2, window: 2, eidetic: { slots: 2, policy: { type: 'oracle' } } },
  };
  const marksOf = (kept: readonly number[]) =>
    tensor2d(Array.from({ length: 3 * tokens }, (_, i) => [Number(kept.includes(i % tokens))]));

  it('reach every layer, in forward, loss and step, and change what is seen', () => {
    tidy(() => {
      const model = createLm(config);
      const params = drawnParams(model.init(Rng.of(1)));
      const { ids, targets } = batchOf(4);
      const crossLayer = { tokens: { keep: marksOf([1, 5]) } };
      const { logits, state: whole } = model.forward(params, ids, { crossLayer });
      for (const { attn } of whole.layers) {
        const { positions } = (attn as { eidetic: { positions: Tensor2D } }).eidetic;
        expect(positions.arraySync()).toEqual(Array.from({ length: 3 }, () => [1, 5]));
      }
      let state = model.initialState(3);
      const pieces = Array.from({ length: tokens }, (_, t) => {
        const keep = tensor2d(Array.from({ length: 3 }, () => [Number([1, 5].includes(t))]));
        const result = model.step(params, columnOf(ids, t), state, { tokens: { keep } });
        ({ state } = result);
        return reshape(result.logits, [3, 1, vocabSize]);
      });
      expect(concat(pieces, 1)).toBeCloseRms(logits, 1e-5);

      const lossOf = (kept: readonly number[]): number =>
        model
          .loss(params, ids, targets, { crossLayer: { tokens: { keep: marksOf(kept) } } })
          .loss.dataSync()[0]!;
      expect(lossOf([1, 5])).not.toBe(lossOf([2, 3]));
    });
  });

  it('are missed by name', () => {
    tidy(() => {
      const model = createLm(config);
      const params = model.init(Rng.of(1));
      const { ids, targets } = batchOf(4);
      for (const run of [
        () => model.forward(params, ids),
        () => model.loss(params, ids, targets),
        () => model.step(params, columnOf(ids, 0), model.initialState(3)),
      ])
        expect(run).toThrow(/memory policy oracle.*crossLayer: \{ tokens: \{ keep/);
    });
  });
});
