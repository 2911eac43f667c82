// Training and decoding: the loss goes down, nothing leaks, memory stays flat, bad ids are refused.
import { adamW } from '@mnemix/optim';
import {
  disposeTree,
  fill,
  mapTree,
  memory,
  openBackend,
  Rng,
  tensor1d,
  tensor2d,
  tidy,
  valueAndGrad,
  type Tensor2D,
} from '@mnemix/tensor';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  createLm,
  generate,
  NO_LABEL,
  tokenTensor,
  type LanguageModel,
  type LmParams,
  type MixerConfig,
} from '../src/index.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

let tensorsBefore = 0;
beforeEach(() => {
  tensorsBefore = memory().numTensors;
});
afterEach(() => {
  expect(memory().numTensors).toBe(tensorsBefore);
});

const cells = {
  gated_delta_net: { type: 'gated_delta_net', heads: 1, headWidth: 4, expandV: 1 },
  delta_net: { type: 'delta_net', heads: 1 },
  gla: { type: 'gla', heads: 1 },
  retnet: { type: 'retnet', heads: 1 },
  linear_attention: { type: 'linear_attention', heads: 1 },
} as const satisfies Record<string, MixerConfig>;

const lm = (mixer: MixerConfig): LanguageModel =>
  createLm({ vocabSize: 6, width: 8, layers: 2, mlp: null, mixer });
const momOf = (cell: (typeof cells)[keyof typeof cells]): MixerConfig => ({
  type: 'mom',
  memories: 3,
  topK: 2,
  cell,
});

/** Sequences that count upwards from a random start: the next token follows from this one. */
const batch = (index: number): { ids: Tensor2D; targets: Tensor2D } => {
  const starts = Rng.of(5).fold(index).integers(4, 0, 6);
  const rows = Array.from(starts, (start) => Array.from({ length: 9 }, (_, t) => (start + t) % 6));
  const slice = (from: number) =>
    tensor2d(
      rows.map((row) => row.slice(from, from + 8)),
      undefined,
      'int32',
    );
  return { ids: slice(0), targets: slice(1) };
};

/** Trains for some steps; returns the losses of the first and the last. */
function train(model: LanguageModel, steps: number, onStep?: () => void): [first: number, last: number] {
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
    onStep?.();
  }
  disposeTree({ params, m: state.m, v: state.v });
  return [losses[0]!, losses.at(-1)!];
}

describe('memory', () => {
  it('is flat over 2,000 training steps', () => {
    const counts: number[] = [];
    train(lm(momOf(cells.gated_delta_net)), 2000, () => counts.push(memory().numTensors));
    expect(new Set(counts.slice(1)).size).toBe(1);
  }, 120_000);

  it('is flat over 1,000 decoded tokens, each in the same state size', async () => {
    const model = lm(momOf(cells.gated_delta_net));
    const params = model.init(Rng.of(1));
    const counts: number[] = [];
    for await (const token of generate(model, params, [1, 2, 3], { maxTokens: 1000, temperature: 1 })) {
      counts.push(memory().numTensors);
      expect(token).toBeLessThan(6);
    }
    expect(counts).toHaveLength(1000);
    expect(new Set(counts.slice(2)).size).toBe(1);
    disposeTree(params);
  }, 60_000);

  it('is given back when the reader of a generation stops early', async () => {
    const model = lm(cells.gla);
    const params = model.init(Rng.of(1));
    for await (const _ of generate(model, params, [1], { maxTokens: 50 })) break;
    disposeTree(params);
  });
});

describe('generation', () => {
  it('continues from a state as from the tokens that made it, and leaves the state usable', async () => {
    const model = lm(momOf(cells.delta_net));
    const params = model.init(Rng.of(3));
    const collect = async (prompt: number[], options: object): Promise<number[]> => {
      const tokens: number[] = [];
      for await (const token of generate(model, params, prompt, { maxTokens: 6, ...options }))
        tokens.push(token);
      return tokens;
    };
    const whole = await collect([1, 4, 2, 5], {});
    const { state } = tidy(() => {
      const { state: after } = model.forward(params, tensor2d([[1, 4]], undefined, 'int32'));
      return { state: after } as never;
    }) as { state: ReturnType<LanguageModel['initialState']> };
    expect(await collect([2, 5], { state })).toEqual(whole);
    expect(await collect([2, 5], { state })).toEqual(whole);
    disposeTree(state);
    disposeTree(params);
  });

  it('stops after the end token', async () => {
    const model = lm(cells.retnet);
    const params = model.init(Rng.of(1));
    const tokens: number[] = [];
    for await (const token of generate(model, params, [1], { maxTokens: 20 })) tokens.push(token);
    const [first = 0] = tokens;
    const stopped: number[] = [];
    for await (const token of generate(model, params, [1], { maxTokens: 20, endToken: first }))
      stopped.push(token);
    expect(stopped).toEqual([first]);
    disposeTree(params);
  });

  it('refuses an empty prompt and ids outside of the vocabulary, naming place and range', async () => {
    const model = lm(cells.gla);
    const params = model.init(Rng.of(1));
    await expect(generate(model, params, []).next()).rejects.toThrow(/generate\(prompt\): it is empty/);
    await expect(generate(model, params, [1], { maxTokens: NaN }).next()).rejects.toThrow(/maxTokens/);
    await expect(generate(model, params, [1, 6]).next()).rejects.toThrow(
      /generate\(prompt\)\[1\]: token id 6 is outside of the vocabulary of 6\. Use ids from 0 to 5/,
    );
    disposeTree(params);
  });
});

describe('a parameter that is NaN', () => {
  it('stops generation with the reason, and frees everything', async () => {
    for (const mixer of [cells.gla, momOf(cells.gated_delta_net)]) {
      const model = lm(mixer);
      const params = mapTree(model.init(Rng.of(1)), (leaf, path) => {
        if (!path.endsWith('q_proj.weight')) return leaf;
        leaf.dispose();
        return fill(leaf.shape, NaN);
      });
      await expect(generate(model, params, [1]).next()).rejects.toThrow(
        expect.objectContaining({ code: 'value', message: expect.stringMatching(/logit of token 0 is NaN/) }),
      );
      disposeTree(params);
    }
  });
});

describe('layers with other numbers of memories', () => {
  it('train together, each pooled with its like', () => {
    const model = createLm({
      vocabSize: 6,
      width: 8,
      layers: 3,
      mlp: null,
      mixer: [momOf(cells.gla), { type: 'mom', memories: 2, topK: 1, cell: cells.retnet }, cells.delta_net],
    });
    const [first, last] = train(model, 40);
    expect(last).toBeLessThan(first);
    tidy(() => {
      const { ids, targets } = batch(0);
      expect(model.loss(model.init(Rng.of(1)), ids, targets).load).toBeUndefined();
    });
  });
});

describe('tokenTensor', () => {
  it('gives int32 rows', () => {
    tidy(() => {
      const ids = tokenTensor([1, 2, 3, 4, 5, 0], [2, 3], 6, 'batch');
      expect([ids.dtype, ids.shape]).toEqual(['int32', [2, 3]]);
      expect([...ids.dataSync()]).toEqual([1, 2, 3, 4, 5, 0]);
    });
  });

  it.each([
    [[1, 2, 6], {}, /batch\[2\]: token id 6 is outside of the vocabulary of 6/],
    [[1, -1, 2], {}, /batch\[1\]: token id -1/],
    [[1.5, 1, 2], {}, /batch\[0\]: token id 1.5/],
    [[NaN, 1, 2], {}, /batch\[0\]: token id NaN/],
    [[1, -100, 2], {}, /token id -100/],
    [[-100, -1, 2], { besides: NO_LABEL }, /batch\[1\]: token id -1.*or -100 for none/],
    [[1, 2], {}, /batch: expected 1·3 ids, found 2/],
  ])('refuses %j', (ids, options, message) => {
    expect(() => tokenTensor(ids, [1, 3], 6, 'batch', options)).toThrow(message);
  });
});

describe('forward', () => {
  it('refuses ids outside of the vocabulary instead of reading beyond the table', () => {
    const model = lm(cells.gla);
    tidy(() => {
      const params = model.init(Rng.of(1));
      expect(() => model.forward(params, tensor2d([[0, 6]], undefined, 'int32'))).toThrow(
        /lm\.forward\(ids\)\[1\]: token id 6 is outside of the vocabulary of 6/,
      );
      expect(() => model.forward(params, tensor2d([[0, 1, -1]], undefined, 'int32'))).toThrow(
        /lm\.forward\(ids\)\[2\]: token id -1/,
      );
      expect(() => model.forward(params, tensor2d([[0, 1]]))).toThrow(/expected int32, found float32/);
    });
  });

  it('refuses targets outside of the vocabulary, save for −100', () => {
    const model = lm(cells.gla);
    tidy(() => {
      const params = model.init(Rng.of(1));
      const ids = tensor2d([[0, 1, 2]], undefined, 'int32');
      const counted = (targets: number[]) =>
        model.loss(params, ids, tensor2d([targets], undefined, 'int32')).counted.dataSync()[0];
      expect(counted([1, -100, 5])).toBe(2);
      expect(() => counted([1, 6, 2])).toThrow(/lm\.loss\(targets\)\[1\]: token id 6.*-100 for none/);
      expect(() => counted([1, -1, 2])).toThrow(/lm\.loss\(targets\)\[1\]: token id -1/);
    });
  });

  it('refuses the state of another model, naming what differs', () => {
    const model = lm(cells.gla);
    tidy(() => {
      const params = model.init(Rng.of(1));
      const ids = tensor2d([[1, 2]], undefined, 'int32');
      const run = (state: object) => () => model.forward(params, ids, { state: state as never });
      expect(run({ layers: model.initialState(1).layers.slice(1) })).toThrow(
        /lm\.forward\(state\): expected the states of 2 layers, found 1/,
      );
      expect(run({})).toThrow(/found no list of layers/);
      expect(run(model.initialState(3))).toThrow(/memory is \[3, 1, 4, 8\] instead of \[1, 1, 4, 8\]/);
      expect(run(lm(cells.delta_net).initialState(1))).toThrow(/windows\.q is unknown/);
      expect(run({ layers: [{}, {}] })).toThrow(/memory is missing/);
    });
  });

  it('steps from the empty state as forward does', () => {
    const model = lm(momOf(cells.gla));
    tidy(() => {
      const params = model.init(Rng.of(1));
      const whole = model.forward(params, tensor2d([[3], [1]], undefined, 'int32')).logits;
      const { logits } = model.step(params, tensor1d([3, 1], 'int32'), model.initialState(2));
      expect([...logits.dataSync()]).toEqual([...whole.dataSync()]);
    });
  });

  it.each([
    [{ vocabSize: 0 }, /vocabSize: it is 0/],
    [{ layers: 1.5 }, /layers: it is 1.5/],
    [{ mlp: { hidden: -1 } }, /mlp\.hidden: it is -1/],
    [{ mixer: { type: 'nothing' } }, /mixer\.type: there is no cell "nothing".*gla/],
    [{ mixer: [] }, /mixer: the list of mixers is empty/],
    [{ mixer: undefined }, /mixer: expected an object with a type, found undefined/],
    [{ mixer: { type: 'toString' } }, /mixer\.type: there is no cell "toString"/],
    [{ mixer: { type: 'mom', memory: 3, cell: cells.gla } }, /mixer\.memory: unknown key.*memories/],
    [{ mixer: { type: 'mom', shared: 'yes', cell: cells.gla } }, /mixer\.shared: expected true or false/],
    [{ mixer: [cells.gla, { type: 'mom' }] }, /mixer\[1\]\.cell: expected an object with a type/],
    [{ mlp: 4 }, /mlp: expected an object, found 4/],
    [{ normEps: '1e-6' }, /normEps: expected a number from 0 on, found "1e-6"/],
    [{ auxiliary: { balanceScope: 'all' } }, /auxiliary\.balanceScope: expected "pooled" or "layer"/],
    [{ auxiliary: { zLoss: 1 } }, /auxiliary\.zLoss: unknown key/],
    [{ vocab: 6 }, /vocab: unknown key/],
    [{ mixer: { type: 'gla', heads: 3 } }, /gla\(heads\): 3 heads do not divide/],
    [{ mixer: { type: 'mom', memories: 2, topK: 3, cell: cells.gla } }, /mom\(topK\)/],
  ])('a configuration of %o is refused by name', (changed, message) => {
    expect(() =>
      createLm({ vocabSize: 6, width: 8, layers: 1, mlp: null, mixer: cells.gla, ...changed } as never),
    ).toThrow(message);
  });
});
