// The channel mixes of RWKV-6 and RWKV-7, and the token shift that they stand on, against float64.
import { packedSequences } from '@mnemix/kernels';
import {
  concat,
  entries,
  flatten,
  leaves,
  mapTree,
  memory,
  mul,
  openBackend,
  reshape,
  Rng,
  slice,
  sum,
  tidy,
  valueAndGrad,
  type ParamTree,
  type Scalar,
  type Tensor,
  type Tensor2D,
  type Tensor3D,
} from '@mnemix/tensor';
import {
  centralDifferences,
  dot,
  linear,
  map,
  mapVectors,
  nd,
  rows,
  sigmoid,
  type NdArray,
} from '@mnemix/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { rwkv6ChannelMix, rwkv7ChannelMix, tokenShift, type Mixer } from '../src/index.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

const [width, hidden, TOKENS] = [6, 10, 9];
type Values = Readonly<Record<string, NdArray>>;
type Oracle = (params: Values, x: NdArray) => NdArray;

/** x_t + μ ⊙ (x_{t−1} − x_t), a token at a time; x [T, d]. */
function shifted(x: NdArray, mu: NdArray): NdArray {
  return mapVectors(x, (token, t) => {
    const before = t === 0 ? new Float64Array(token.length) : rows(x, t - 1, t).data;
    return token.map((value, c) => value + mu.data[c]! * (before[c]! - value));
  });
}
const relu2 = (value: number): number => Math.max(value, 0) ** 2;

const kinds: [string, (options: { width: number; hidden: number }) => Mixer, Oracle][] = [
  [
    'RWKV-6',
    (options) => rwkv6ChannelMix(options) as unknown as Mixer,
    (p, x) => {
      const key = map(linear(shifted(x, p['key.mu']!), p['key.linear.weight']!), relu2);
      const receptance = linear(shifted(x, p['receptance.mu']!), p['receptance.linear.weight']!);
      return map(linear(key, p['value.weight']!), (value, i) => sigmoid(receptance.data[i]!) * value);
    },
  ],
  [
    'RWKV-7',
    (options) => rwkv7ChannelMix(options) as unknown as Mixer,
    (p, x) => linear(map(linear(shifted(x, p['x_k']!), p['key.weight']!), relu2), p['value.weight']!),
  ],
];

const float64 = (t: Tensor): NdArray => nd(t.shape, t.dataSync());
const part = (x: Tensor3D, b: number, from: number, to: number): Tensor3D =>
  slice(x, [b, from, 0], [1, to - from, width]) as Tensor3D;
/** Parameters far from their start, where RWKV-7's values are zero. */
const wide = (params: ParamTree): ParamTree =>
  mapTree(params, (leaf, path) => Rng.of(3).fold(path).normal(leaf.shape, 0, 0.5));
const near = (actual: Tensor, expected: Tensor): void => {
  expect(actual).toBeCloseRms(expected, 1e-6);
};

describe.each(kinds)('the channel mix of %s', (_, create, oracle) => {
  const mixer = create({ width, hidden });
  const setUp = () => ({
    params: wide(mixer.init(Rng.of(1))),
    x: Rng.of(2).normal([2, TOKENS, width]) as Tensor3D,
  });
  const valuesOf = (params: ParamTree): Values =>
    Object.fromEntries(Array.from(entries(params), ([path, leaf]) => [path, float64(leaf)]));
  const whole = (params: Values, x: NdArray): NdArray =>
    nd(
      [2, TOKENS, width],
      [0, 1].flatMap((b) => [...oracle(params, rows(x, b * TOKENS, (b + 1) * TOKENS)).data]),
    );

  it.each(['wasm', 'cpu'] as const)('equals float64 with all gradients, on %s', async (backend) => {
    await openBackend(backend);
    tidy(() => {
      const { params, x } = setUp();
      const dy = Rng.of(4).normal(x.shape);
      const { grads, aux } = valueAndGrad((tree: { params: ParamTree; x: Tensor3D }) => {
        const { y } = mixer.forward(tree.params, tree.x);
        return { value: sum(mul(y, dy)) as Scalar, aux: { y } };
      })({ params, x });
      const values = { ...valuesOf(params), x: float64(reshape(x, [2 * TOKENS, width])) };
      expect(aux.y).toBeCloseRms(whole(values, values.x), 1e-5);
      const expected = centralDifferences(
        ({ x: rows64, ...rest }) => dot(whole(rest, rows64!), float64(dy)),
        values as Record<string, NdArray>,
      );
      const found: Record<string, Tensor> = { ...flatten(grads.params), x: grads.x };
      for (const [path, gradient] of Object.entries(found))
        expect(gradient, path).toBeCloseRms(expected[path]!.data, 1e-4);
    });
    await openBackend('wasm');
  });

  it('continues from a carried state, and gives the same outputs a token at a time', () => {
    tidy(() => {
      const { params, x } = setUp();
      const all = mixer.forward(params, x);
      const [first, second] = [
        concat([part(x, 0, 0, 4), part(x, 1, 0, 4)], 0),
        concat([part(x, 0, 4, TOKENS), part(x, 1, 4, TOKENS)], 0),
      ] as [Tensor3D, Tensor3D];
      const before = mixer.forward(params, first);
      const after = mixer.forward(params, second, { state: before.state });
      near(concat([before.y, after.y], 1), all.y);
      let state = mixer.initialState(2);
      for (let t = 0; t < TOKENS; t++) {
        const token = reshape(slice(x, [0, t, 0], [2, 1, width]), [2, width]) as Tensor2D;
        const result = mixer.step(params, token, state);
        near(result.y, reshape(slice(all.y, [0, t, 0], [2, 1, width]), [2, width]));
        state = result.state;
      }
      for (const found of [after.state, state]) near(leaves(found)[0]!, leaves(all.state)[0]!);
    });
  });

  it('keeps packed documents apart', () => {
    tidy(() => {
      const { params, x } = setUp();
      const segments = [
        { row: 0, start: 0, length: 4 },
        { row: 0, start: 4, length: 3 },
        { row: 1, start: 2, length: 7 },
      ];
      const packed = mixer.forward(params, x, { segments });
      for (const { row, start, length } of segments) {
        const alone = mixer.forward(params, part(x, row, start, start + length));
        near(part(packed.y, row, start, start + length), alone.y);
      }
    });
  });

  it('leaks no tensor, and remembers the last input alone', () => {
    const { params, x } = setUp();
    const before = memory().numTensors;
    tidy(() => {
      valueAndGrad((tree: ParamTree) => ({ value: sum(mixer.forward(tree, x).y) as Scalar }))(params);
    });
    expect(memory().numTensors).toBe(before);
    expect(mixer.stateBytes(3)).toBe(4 * 3 * width * 2);
    for (const leaf of [x, ...leaves(params)]) leaf.dispose();
  });

  it.each([
    [{ hidden: 0 }, /hidden\): it is 0/],
    [{ layers: 1.5 }, /layers\): it is 1\.5/],
    [{ layer: 2, layers: 2 }, /layer\): there is no layer 2 among 2/],
  ])('refuses %o', (options, message) => {
    expect(() => create({ width, hidden, ...options })).toThrow(message);
  });

  it('refuses the state of another batch, and another width', () => {
    tidy(() => {
      const { params, x } = setUp();
      expect(() => mixer.forward(params, x, { state: mixer.initialState(3) })).toThrow(
        /shift is \[3, 6, 2\]/,
      );
      expect(() => mixer.forward(params, reshape(part(x, 0, 0, 1), [1, 2, 3]) as Tensor3D)).toThrow(
        /expected shape \[B=1, T=2, 6\]/,
      );
    });
  });
});

describe('at the start', () => {
  it('RWKV-7 says nothing, and mixes 1 − (i/d)^{(1 − l/L)⁴}', () => {
    tidy(() => {
      const mixer = rwkv7ChannelMix({ width, hidden, layer: 1, layers: 2 });
      const params = mixer.init(Rng.of(1));
      const y = mixer.forward(params, Rng.of(2).normal([1, 3, width]) as Tensor3D).y;
      expect([...y.dataSync()].every((value) => value === 0)).toBe(true);
      expect(params.x_k).toBeCloseRms(
        Array.from({ length: width }, (_, i) => 1 - (i / width) ** (0.5 ** 4)),
        1e-6,
      );
    });
  });

  it('RWKV-6 mixes 1 − (i/d)^{1 − l/L}', () => {
    tidy(() => {
      const { key, receptance } = rwkv6ChannelMix({ width, hidden, layer: 3, layers: 4 }).init(Rng.of(1));
      const expected = Array.from({ length: width }, (_, i) => 1 - (i / width) ** 0.25);
      expect(key.mu).toBeCloseRms(expected, 1e-6);
      expect(receptance.mu).toBeCloseRms(expected, 1e-6);
    });
  });
});

describe('the token shift', () => {
  it('is what came before less what is there, 0 in padding, which gets no gradient', () => {
    tidy(() => {
      const segments = [{ row: 0, start: 1, length: 3 }];
      const sequences = packedSequences(1, 5, segments);
      const x = Rng.of(5).normal([5, 2]) as Tensor2D;
      const { grads, aux } = valueAndGrad((tree: { x: Tensor2D }) => {
        const { delta } = tokenShift(tree.x, sequences);
        return { value: sum(delta) as Scalar, aux: { delta } };
      })({ x });
      const at = (t: number, c: number): number => x.dataSync()[2 * t + c]!;
      const expected = [0, 1, 2, 3, 4].flatMap((t) =>
        [0, 1].map((c) => (t < 1 || t > 3 ? 0 : (t > 1 ? at(t - 1, c) : 0) - at(t, c))),
      );
      expect(aux.delta).toBeCloseRms(expected, 1e-6);
      expect(Array.from(grads.x.dataSync())).toEqual([0, 0, 0, 0, 0, 0, -1, -1, 0, 0]);
    });
  });
});
