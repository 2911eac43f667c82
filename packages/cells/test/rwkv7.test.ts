// Every option of RWKV-7 against its float64 layer, layers above the first, how it starts, its gates at the
// extremes, and the options that are refused.
import { asMixer } from '@mnemix/layers';
import {
  entries,
  mapTree,
  mul,
  openBackend,
  reshape,
  Rng,
  slice,
  sum,
  tidy,
  valueAndGrad,
  zeros,
  type ParamTree,
  type Scalar,
  type Tensor,
  type Tensor2D,
  type Tensor3D,
} from '@mnemix/tensor';
import {
  cellForward,
  centralDifferences,
  dot,
  nd,
  rows,
  rwkv7 as oracle,
  type FlaConfig,
  type NdArray,
} from '@mnemix/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { rwkv7, type Rwkv7Config } from '../src/index.ts';
import { expectFinite } from './extremes.ts';
import { describeOracles, type OracleCase } from './oracle-suite.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

const ranks = { decayRank: 3, learningRateRank: 2, valueRank: 4, gateRank: 5 };
const size = { width: 12, heads: 2, ...ranks };
const row = (name: string, options: Partial<Rwkv7Config>, config: FlaConfig = {}): OracleCase => [
  `rwkv7, ${name}`,
  rwkv7({ ...size, ...options }),
  oracle,
  { num_heads: 2, ...config },
];

describeOracles([
  row('as it is', {}),
  row('narrow heads, wide values', { headWidth: 3, expandV: 5 / 3 }),
  row('four heads by their width', { heads: undefined, headWidth: 3 }, { num_heads: 4 }),
  row('convolutions', { convolution: 3 }),
  row('another epsilon', { normEps: 0.1 }, { norm_eps: 0.1 }),
]);

const float64 = (t: Tensor): NdArray => nd(t.shape, t.dataSync());
const TOKENS = 6;
const valueSize = 12;

describe('rwkv7 above the first layer', () => {
  const mixer = asMixer(rwkv7({ ...size, layer: 1, layers: 3 }));
  const setUp = () => ({
    params: mapTree(mixer.init(Rng.of(1)) as ParamTree, (leaf, path) =>
      Rng.of(3).fold(path).normal(leaf.shape, 0, 0.5),
    ),
    x: Rng.of(2).normal([2, TOKENS, size.width]) as Tensor3D,
    first: Rng.of(4).normal([2 * TOKENS, valueSize]) as Tensor2D,
  });
  const valuesOf = ({ params, x, first }: ReturnType<typeof setUp>): Record<string, NdArray> => ({
    ...Object.fromEntries(Array.from(entries(params), ([path, leaf]) => [path, float64(leaf)])),
    x: float64(reshape(x, [2 * TOKENS, size.width])),
    first: float64(first),
  });
  const expected = ({ x, first, ...params }: Record<string, NdArray>): NdArray =>
    nd(
      [2 * TOKENS * size.width],
      [0, 1].flatMap((b) => {
        const part = (all: NdArray): NdArray => rows(all, b * TOKENS, (b + 1) * TOKENS);
        const config = { num_heads: 2, first_values: part(first!) };
        return [...cellForward(oracle, params, config, part(x!)).y.data];
      }),
    );

  it('equals float64, with the gradients of the first values and of all that meets them', async () => {
    const values = valuesOf(setUp());
    const weights = Rng.of(5).normalArray(2 * TOKENS * size.width);
    const paths = Object.keys(values).filter((path) => /^(x|first|v_proj|v_lora|x_v)\b/.test(path));
    expect(paths).toHaveLength(7);
    const differences = centralDifferences(
      (moved) => dot(expected({ ...values, ...moved }), nd([weights.length], weights)),
      Object.fromEntries(paths.map((path) => [path, values[path]!])),
    );
    for (const backend of ['cpu', 'wasm'] as const) {
      await openBackend(backend);
      tidy(() => {
        const { params, x, first } = setUp();
        const dy = Rng.of(5).normal(x.shape);
        const { grads, aux } = valueAndGrad((tree: { params: ParamTree; first: Tensor2D; x: Tensor3D }) => {
          const { y } = mixer.forward(tree.params as never, tree.x, {
            crossLayer: { tokens: { first_values: tree.first } },
          });
          return { value: sum(mul(y, dy)) as Scalar, aux: { y } };
        })({ params, first, x });
        expect(aux.y).toBeCloseRms(expected(values).data, 1e-5, 0);
        const found = { x: grads.x, first: grads.first, ...Object.fromEntries(entries(grads.params)) };
        for (const path of paths)
          expect((found as Record<string, Tensor>)[path], `${path} on ${backend}`).toBeCloseRms(
            differences[path]!.data,
            1e-4,
            0,
          );
      });
    }
  });

  it('goes a token at a time', () => {
    tidy(() => {
      const { params, x, first } = setUp();
      const whole = mixer.forward(params as never, x, { crossLayer: { tokens: { first_values: first } } });
      const byToken = reshape(first, [2, TOKENS, valueSize]);
      let state = mixer.initialState(2);
      for (let t = 0; t < TOKENS; t++) {
        const at = (all: Tensor, width: number) =>
          reshape(slice(all, [0, t, 0], [2, 1, width]), [2, width]) as Tensor2D;
        const crossLayer = { tokens: { first_values: at(byToken, valueSize) } };
        const result = mixer.step(params as never, at(x, size.width), state, crossLayer);
        expect(result.y).toBeCloseRms(at(whole.y, size.width), 1e-5);
        state = result.state;
      }
      expect(state.memory).toBeCloseRms(whole.state.memory, 1e-5);
    });
  });

  it('hands nothing on, where the first hands on its values', () => {
    tidy(() => {
      const { params, x, first } = setUp();
      const above = mixer.forward(params as never, x, { crossLayer: { tokens: { first_values: first } } });
      expect(above.handOn).toBeUndefined();
      const lowest = asMixer(rwkv7({ ...size, layers: 3 }));
      const { handOn } = lowest.forward(params as never, x);
      expect(handOn!.first_values!.shape).toEqual([2 * TOKENS, valueSize]);
      // Pulled towards the first layer's values, a layer with the same parameters keeps its own.
      const same = mixer.forward(params as never, x, { crossLayer: { tokens: handOn } });
      expect(same.y).toBeCloseRms(lowest.forward(params as never, x).y, 1e-5);
    });
  });

  it('says how it gets the first values where they are missing, and refuses those of another width', () => {
    tidy(() => {
      const { params, x } = setUp();
      expect(() => mixer.forward(params as never, x)).toThrow(
        /rwkv7\(layer\): layer 1 .* missing\. Run it in a model whose layer 0 is an rwkv7, or pass/,
      );
      const first_values = zeros([2 * TOKENS, 7]) as Tensor2D;
      expect(() => mixer.forward(params as never, x, { crossLayer: { tokens: { first_values } } })).toThrow(
        /rwkv7\(first_values\): expected shape \[12, 12\], found \[12, 7\]/,
      );
    });
  });
});

describe('rwkv7', () => {
  it('starts from values that differ by channel and layer', () => {
    tidy(() => {
      const params = rwkv7({ ...size, headWidth: 3, layer: 1, layers: 2 }).init(Rng.of(1));
      const along = [0, 0.2, 0.4, 0.6, 0.8, 1];
      const bend = [-1, 0, 1, -1, 0, 1];
      const mix = (power: number) => Array.from({ length: 12 }, (_, i) => 1 - (i / 12) ** (power / 2));
      const near = (actual: Tensor | undefined, values: number[]) => {
        expect(actual).toBeCloseRms(values, 1e-6);
      };
      near(params.x_r, mix(0.2));
      near(params.x_w, mix(0.9));
      near(params.x_k, mix(0.7));
      near(params.x_v, mix(0.7));
      near(params.x_a, mix(0.9));
      near(params.x_g, mix(0.2));
      expect(params.x_r.shape).toEqual([1, 1, 12]);
      near(
        params.k_k,
        along.map((a) => 0.76 - 0.1 * a),
      );
      near(params.k_a, [1.02, 1.02, 1.02, 1.02, 1.02, 1.02]);
      near(params.r_k, [-0.04, -0.04, -0.04, -0.04, -0.04, -0.04]);
      near(
        params.w_lora.lora[2].bias,
        along.map((a, i) => -5.5 + 6 * a ** 2 + 2.5 * bend[i]!),
      );
      near(
        params.a_lora.lora[2].bias,
        along.map((a, i) => -0.39 + 0.4 * a + 0.3 * bend[i]!),
      );
      near(
        params.v_lora!.lora[2].bias,
        along.map((a) => 0.93 - 0.4 * a),
      );
      expect(params.g_lora.lora[2].bias).toBeUndefined();
      near(params.g_norm.weight, [1, 1, 1, 1, 1, 1]);
      for (const silent of [params.o_proj.weight, params.w_lora.lora[0].weight])
        expect(silent.dataSync().every((value) => value === 0)).toBe(true);
      // An orthogonal matrix [6, 12] has six rows of length 1.
      near(sum(mul(params.v_proj.weight, params.v_proj.weight), 1), [1, 1, 1, 1, 1, 1]);
      near(sum(mul(params.k_proj.weight, params.k_proj.weight), 1), [0.01, 0.01, 0.01, 0.01, 0.01, 0.01]);
      near(sum(mul(params.w_lora.lora[2].weight, params.w_lora.lora[2].weight), 0), [0.01, 0.01, 0.01]);
    });
  });

  it.each([
    [{ width: 768 }, { heads: 12, headWidth: 64, decayRank: 64, valueRank: 32, gateRank: 128 }],
    [{ width: 1024 }, { heads: 16, headWidth: 64, decayRank: 64, valueRank: 64, gateRank: 160 }],
    [{ width: 2048 }, { heads: 32, headWidth: 64, decayRank: 128, valueRank: 64, gateRank: 224 }],
    [
      { width: 1024, headWidth: 128 },
      { heads: 8, headWidth: 128, decayRank: 160, valueRank: 96 },
    ],
    [
      { width: 64, heads: 4 },
      { heads: 4, headWidth: 16, decayRank: 32, valueRank: 32, gateRank: 32 },
    ],
  ])('of %o has the sizes and ranks of fla', (options, expected) => {
    const { config } = rwkv7(options);
    expect(config).toMatchObject(expected);
    expect(config.learningRateRank).toBe(config.decayRank);
  });

  it.each([
    ['decays most', { 'w_lora.lora.2.bias': 1e4 }],
    ['decays nothing', { 'w_lora.lora.2.bias': -1e4 }],
    ['erases all', { 'a_lora.lora.2.bias': 1e4 }],
    ['erases nothing', { 'a_lora.lora.2.bias': -1e4 }],
    ['has no key', { k_k: 0 }],
  ])('has finite gradients where it %s', (_, constants) => {
    expectFinite(asMixer(rwkv7(size)), constants);
  });

  it.each([
    [{ heads: 5 }, /rwkv7\(heads\): 5 heads do not divide the width 12/],
    [{ heads: undefined }, /rwkv7\(headWidth\): the width 12 is no multiple of 64, the width of a head/],
    [{ heads: undefined, headWidth: 5 }, /rwkv7\(headWidth\): the width 12 is no multiple of 5/],
    [{ heads: 1.5 }, /rwkv7\(heads\): it is 1\.5/],
    [{ headWidth: 0 }, /rwkv7\(headWidth\): it is 0/],
    [{ headWidth: 5, expandV: 0.5 }, /rwkv7\(expandV\): 5·0\.5 = 2\.5 is not a whole number/],
    [{ decayRank: 0 }, /rwkv7\(decayRank\): it is 0/],
    [{ learningRateRank: 1.5 }, /rwkv7\(learningRateRank\): it is 1\.5/],
    [{ valueRank: 0 }, /rwkv7\(valueRank\): it is 0/],
    [{ gateRank: -1 }, /rwkv7\(gateRank\): it is -1/],
    [{ convolution: -1 }, /rwkv7\(convolution\): it is -1/],
    [{ layer: 1 }, /rwkv7\(layer\): there is no layer 1 among 1/],
    [{ width: undefined }, /rwkv7\(width\): it is undefined/],
    [{ expandK: 0.5 }, /rwkv7: expandK: unknown key/],
  ])('refuses %o by name', (options, message) => {
    expect(() => rwkv7({ ...size, ...options } as never)).toThrow(message);
  });
});
