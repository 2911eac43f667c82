// Softmax attention against its definition in float64: every query over the tokens that it may see, one at a time.
import {
  concat,
  entries,
  flatten,
  leaves,
  memory,
  mul,
  openBackend,
  reshape,
  Rng,
  slice,
  sum,
  tidy,
  valueAndGrad,
  type Scalar,
  type Tensor2D,
  type Tensor3D,
} from '@mnemix/tensor';
import {
  dot,
  linear,
  map,
  nd,
  reshape as reshape64,
  rmsNorm,
  rotary,
  rows,
  type NdArray,
} from '@mnemix/testkit';
import { describe, expect, it } from 'vitest';
import { softmaxAttention, type SoftmaxAttentionConfig, type SoftmaxAttentionParams } from '../src/index.ts';

type Values = Readonly<Record<string, NdArray>>;

/** y [T, d] of one sequence x [T, d]. */
function expected(config: SoftmaxAttentionConfig, values: Values, x: NdArray): NdArray {
  const { width, heads, kvHeads = heads, window = Infinity, ropeBase = 10000 } = config;
  const { headWidth = width / heads } = config;
  const tokens = x.shape[0]!;
  const project = (name: 'q' | 'k' | 'v', count: number) => {
    const y = linear(x, values[`${name}_proj.weight`]!, values[`${name}_proj.bias`]);
    let perHead = reshape64(y, [tokens, count, headWidth]);
    const norm = values[`${name}_norm.weight`];
    if (norm) perHead = rmsNorm(perHead, norm, 1e-5);
    return name === 'v' || ropeBase === 0 ? perHead : rotary(perHead, 0, ropeBase);
  };
  const [q, k, v] = [project('q', heads), project('k', kvHeads), project('v', kvHeads)];
  const vector = (a: NdArray, t: number, h: number) => {
    const first = (t * a.shape[1]! + h) * headWidth;
    return nd([headWidth], a.data.subarray(first, first + headWidth));
  };
  const o = nd([tokens, heads * headWidth]);
  for (let t = 0; t < tokens; t++) {
    for (let h = 0; h < heads; h++) {
      const g = Math.floor(h / (heads / kvHeads));
      const seen = Array.from({ length: t + 1 }, (_, s) => s).filter((s) => t - s < window);
      const weights = seen.map((s) => Math.exp(dot(vector(q, t, h), vector(k, s, g)) / Math.sqrt(headWidth)));
      const total = weights.reduce((a, b) => a + b, 0);
      seen.forEach((s, i) => {
        vector(v, s, g).data.forEach((value, c) => {
          o.data[(t * heads + h) * headWidth + c]! += (weights[i]! / total) * value;
        });
      });
    }
  }
  return linear(o, values['o_proj.weight']!);
}

const base = { width: 12, heads: 3 };
const configs: readonly [string, SoftmaxAttentionConfig][] = [
  ['attention as it is', base],
  ['a window of 4', { ...base, window: 4 }],
  ['a window of 1', { ...base, window: 1 }],
  ['grouped keys', { ...base, heads: 6, kvHeads: 2 }],
  ['norms, biases, another base', { ...base, qkNorm: true, qkvBias: true, ropeBase: 500 }],
  ['wide heads without positions', { ...base, headWidth: 5, ropeBase: 0, window: 7 }],
];
const TOKENS = 13;
const part = (x: Tensor3D, row: number, from: number, to: number): Tensor3D =>
  slice(x, [row, from, 0], [1, to - from, x.shape[2]]) as Tensor3D;

describe.each(['wasm', 'cpu'] as const)('on %s', (backend) => {
  describe.each(configs)('%s', (_, config) => {
    const mixer = softmaxAttention(config);
    const setUp = () => {
      const params = mixer.init(Rng.of(1));
      const wide = Object.fromEntries(
        Array.from(entries(params), ([path, { shape }]) => [
          path,
          Rng.of(3).fold(path).normal(shape, 0, 0.5),
        ]),
      );
      const tree = Object.fromEntries(
        Object.keys(params).map((layer) => [
          layer,
          Object.fromEntries(
            Object.entries(wide)
              .filter(([path]) => path.startsWith(`${layer}.`))
              .map(([path, leaf]) => [path.slice(layer.length + 1), leaf]),
          ),
        ]),
      ) as unknown as SoftmaxAttentionParams;
      const values = Object.fromEntries(
        Object.entries(wide).map(([path, leaf]) => [path, nd(leaf.shape, leaf.dataSync())]),
      );
      const x = Rng.of(2).normal([2, TOKENS, config.width]) as Tensor3D;
      const x64 = nd([2 * TOKENS, config.width], x.dataSync());
      return { params: tree, values, x, rowOf: (b: number) => rows(x64, b * TOKENS, (b + 1) * TOKENS) };
    };

    it('equals the definition, whole, and from a carried state cut anywhere', async () => {
      await openBackend(backend);
      tidy(() => {
        const { params, values, x, rowOf } = setUp();
        const wanted = [0, 1].flatMap((b) => [...expected(config, values, rowOf(b)).data]);
        const whole = mixer.forward(params, x).y;
        expect(reshape(whole, [wanted.length])).toBeCloseRms(wanted, 1e-5, 0);
        for (const cut of [1, 4, 12]) {
          const pieces = [0, cut].map((from, i) => slice(x, [0, from, 0], [2, i ? TOKENS - cut : cut, -1]));
          const first = mixer.forward(params, pieces[0] as Tensor3D);
          const second = mixer.forward(params, pieces[1] as Tensor3D, { state: first.state });
          expect(concat([first.y, second.y], 1)).toBeCloseRms(whole, 1e-5);
        }
      });
    });

    it('goes a token at a time from the empty state, with a cache no longer than the window needs', async () => {
      await openBackend(backend);
      tidy(() => {
        const { params, x } = setUp();
        const whole = mixer.forward(params, x).y;
        let state = mixer.initialState(2);
        for (let t = 0; t < TOKENS; t++) {
          const token = reshape(slice(x, [0, t, 0], [2, 1, config.width]), [2, config.width]) as Tensor2D;
          const result = mixer.step(params, token, state);
          expect(result.y).toBeCloseRms(
            reshape(slice(whole, [0, t, 0], [2, 1, config.width]), [2, -1]),
            1e-5,
          );
          state = result.state;
          expect(state.keys.shape[1]).toBeLessThanOrEqual(Math.max(1, (config.window ?? Infinity) - 1));
        }
      });
    });

    it('keeps packed documents apart, carried states of different lengths too', async () => {
      await openBackend(backend);
      tidy(() => {
        const { params, x } = setUp();
        const segments = [
          { row: 0, start: 0, length: 6 },
          { row: 0, start: 7, length: 1 },
          { row: 1, start: 2, length: 0 },
          { row: 1, start: 3, length: 10 },
        ];
        const packed = mixer.forward(params, x, { segments });
        const again = mixer.forward(params, x, { segments, state: packed.state });
        segments.forEach(({ row, start, length }) => {
          if (length === 0) return;
          const alone = mixer.forward(params, part(x, row, start, start + length));
          expect(part(packed.y, row, start, start + length)).toBeCloseRms(alone.y, 1e-5);
          const more = mixer.forward(params, part(x, row, start, start + length), { state: alone.state });
          expect(part(again.y, row, start, start + length)).toBeCloseRms(more.y, 1e-5);
        });
        expect(sum(part(packed.y, 0, 8, TOKENS)).dataSync()[0]).toBe(0);
      });
    });

    it('has the gradients of the definition along random signs, and looks at no later token', async () => {
      await openBackend(backend);
      tidy(() => {
        const { params, values, x, rowOf } = setUp();
        const dy = Rng.of(4).normal([2, TOKENS, config.width]);
        const segments = [0, 1].map((row) => ({ row, start: 0, length: TOKENS }));
        for (const packed of [undefined, segments]) {
          const { grads } = valueAndGrad((tree: { x: Tensor3D; params: SoftmaxAttentionParams }) => ({
            value: sum(mul(mixer.forward(tree.params, tree.x, { segments: packed }).y, dy)) as Scalar,
          }))({ x, params });
          const slopes = flatten(grads.params);
          for (const [path, at] of Object.entries(values)) {
            const signs = Array.from(
              Rng.of(5).fold(path).normalArray(at.data.length),
              (z) => Math.sign(z) || 1,
            );
            const value = (by: number) => {
              const moved = { ...values, [path]: map(at, (entry, i) => entry + by * signs[i]!) };
              const y = [0, 1].flatMap((b) => [...expected(config, moved, rowOf(b)).data]);
              return Array.from(dy.dataSync()).reduce((total, weight, i) => total + weight * y[i]!, 0);
            };
            const gradient = slopes[path]!.dataSync();
            const found = signs.reduce((total, sign, i) => total + sign * gradient[i]!, 0);
            const error = Math.abs(found - (value(1e-6) - value(-1e-6)) / 2e-6);
            expect(error, path).toBeLessThanOrEqual(1e-4 * Math.hypot(...gradient) + 1e-6);
          }
        }
        const changed = concat([slice(x, [0, 0, 0], [2, 8, -1]), slice(dy, [0, 8, 0], [2, -1, -1])], 1);
        const [before, after] = [x, changed].map((input) =>
          slice(mixer.forward(params, input as Tensor3D).y, [0, 0, 0], [2, 8, -1]).dataSync(),
        );
        expect(after).toEqual(before);
      });
    });
  });
});

describe('softmax attention', () => {
  it('leaks no tensor', async () => {
    await openBackend('wasm');
    const mixer = softmaxAttention({ ...base, window: 3 });
    const params = mixer.init(Rng.of(1));
    const x = Rng.of(2).normal([2, 5, 12]) as Tensor3D;
    const before = memory().numTensors;
    tidy(() => {
      mixer.step(params, reshape(slice(x, [0, 0, 0], [2, 1, 12]), [2, 12]), mixer.forward(params, x).state);
    });
    expect(memory().numTensors).toBe(before);
    for (const leaf of [x, ...leaves(params)]) leaf.dispose();
  });

  it('passes states through where there is nothing but padding', async () => {
    await openBackend('wasm');
    tidy(() => {
      const mixer = softmaxAttention(base);
      const x = Rng.of(2).normal([1, 3, 12]) as Tensor3D;
      const { y } = mixer.forward(mixer.init(Rng.of(1)), x, { segments: [{ row: 0, start: 1, length: 0 }] });
      expect([...y.dataSync()].every((value) => value === 0)).toBe(true);
    });
  });

  it('says what its state weighs: growing, or bounded by the window', () => {
    const bytes = (tokens: number) => 4 * (2 * tokens * 12 + 1);
    expect(softmaxAttention(base).stateBytes(1, 100)).toBe(bytes(100));
    expect(softmaxAttention({ ...base, window: 9 }).stateBytes(1, 100)).toBe(bytes(8));
  });

  it.each([
    [{ width: 12, heads: 5 }, /headWidth\): it is 2\.4/],
    [{ width: 12, heads: 3, kvHeads: 2 }, /kvHeads\): 2 heads of keys cannot serve 3/],
    [{ width: 12, heads: 4 }, /ropeBase\): heads 3 wide cannot be rotated/],
    [{ width: 12, heads: 3, window: 0 }, /window\): it is 0/],
  ])('refuses %o', (config, message) => {
    expect(() => softmaxAttention(config)).toThrow(message);
  });
});
