// The gated convolution against its definition in float64.
import {
  concat,
  entries,
  mul,
  openBackend,
  reshape,
  Rng,
  slice,
  sum,
  tidy,
  valueAndGrad,
  type Scalar,
  type Tensor,
  type Tensor2D,
  type Tensor3D,
} from '@mnemix/tensor';
import { centralDifferences, linear, nd, rows as rows64, type NdArray } from '@mnemix/testkit';
import { describe, expect, it } from 'vitest';
import { gatedConvolution, type GatedConvolutionParams } from '../src/index.ts';

const [WIDTH, TAPS, TOKENS] = [5, 3, 7];
const mixer = gatedConvolution({ width: WIDTH, taps: TAPS });
const float64 = (x: Tensor): NdArray => nd(x.shape, x.dataSync());

/** y [T, d] of one sequence. */
function expected(values: Readonly<Record<string, NdArray>>, x: NdArray): NdArray {
  const gate = linear(x, values['projection.weight']!, values['projection.bias']!);
  return nd(
    x.shape,
    gate.data.map((g, i) => {
      const [t, c] = [Math.floor(i / WIDTH), i % WIDTH];
      let seen = values['conv1d.bias']!.data[c]!;
      for (let tap = 0; tap < TAPS; tap++) {
        const from = t - (TAPS - 1 - tap);
        if (from >= 0) seen += values['conv1d.weight']!.data[c * TAPS + tap]! * x.data[from * WIDTH + c]!;
      }
      return g * seen;
    }),
  );
}

const setUp = () => {
  const paths = Array.from(entries(mixer.init(Rng.of(1))));
  const leaf = (path: string): Tensor =>
    Rng.of(2)
      .fold(path)
      .normal(paths.find(([name]) => name === path)![1].shape, 0, 0.5);
  const params = {
    projection: { weight: leaf('projection.weight'), bias: leaf('projection.bias') },
    conv1d: { weight: leaf('conv1d.weight'), bias: leaf('conv1d.bias') },
  } as GatedConvolutionParams;
  const x = Rng.of(3).normal([2, TOKENS, WIDTH]) as Tensor3D;
  return { params, x };
};

describe.each(['wasm', 'cpu'] as const)('on %s', (backend) => {
  it('equals the definition with all gradients', async () => {
    await openBackend(backend);
    tidy(() => {
      const { params, x } = setUp();
      const dy = Rng.of(4).normal([2, TOKENS, WIDTH]);
      const named = Object.fromEntries(Array.from(entries(params), ([path, leaf]) => [path, float64(leaf)]));
      const x64 = float64(reshape(x, [2 * TOKENS, WIDTH]));
      const of = (inputs: Record<string, NdArray>): number[] =>
        [0, 1].flatMap((b) => [...expected(inputs, rows64(inputs.x!, b * TOKENS, (b + 1) * TOKENS)).data]);
      expect(reshape(mixer.forward(params, x).y, [-1])).toBeCloseRms(of({ ...named, x: x64 }), 1e-5);
      const weights = dy.dataSync();
      const wanted = centralDifferences(
        (inputs) => of(inputs).reduce((total, value, i) => total + value * weights[i]!, 0),
        { ...named, x: x64 } as Record<string, NdArray>,
      );
      const { grads } = valueAndGrad((tree: { params: GatedConvolutionParams; x: Tensor3D }) => ({
        value: sum(mul(mixer.forward(tree.params, tree.x).y, dy)) as Scalar,
      }))({ params, x });
      const found = Object.fromEntries(entries(grads.params));
      for (const [path, gradient] of Object.entries(wanted))
        expect(path === 'x' ? reshape(grads.x, [-1, WIDTH]) : found[path], path).toBeCloseRms(gradient, 1e-4);
    });
  });

  it('goes on from a state, a token at a time too, and keeps packed documents apart', async () => {
    await openBackend(backend);
    tidy(() => {
      const { params, x } = setUp();
      const whole = mixer.forward(params, x);
      const cut = (from: number, to: number): Tensor3D =>
        slice(x, [0, from, 0], [2, to - from, WIDTH]) as Tensor3D;
      const first = mixer.forward(params, cut(0, 4));
      const second = mixer.forward(params, cut(4, 7), { state: first.state });
      expect(concat([first.y, second.y], 1)).toBeCloseRms(whole.y, 1e-6);
      let state = mixer.initialState(2);
      for (let t = 0; t < TOKENS; t++) {
        const result = mixer.step(params, reshape(cut(t, t + 1), [2, WIDTH]) as Tensor2D, state);
        expect(result.y).toBeCloseRms(reshape(slice(whole.y, [0, t, 0], [2, 1, WIDTH]), [2, WIDTH]), 1e-6);
        ({ state } = result);
      }
      const segments = [
        { row: 0, start: 0, length: 3 },
        { row: 0, start: 3, length: 4 },
        { row: 1, start: 1, length: 6 },
      ];
      const { y } = mixer.forward(params, x, { segments });
      segments.forEach(({ row, start, length }) => {
        const own = slice(x, [row, start, 0], [1, length, WIDTH]) as Tensor3D;
        expect(slice(y, [row, start, 0], [1, length, WIDTH])).toBeCloseRms(
          mixer.forward(params, own).y,
          1e-6,
        );
      });
    });
  });
});

it('refuses sizes that are none', () => {
  expect(() => gatedConvolution({ width: 4, taps: 0 })).toThrow(/gatedConvolution\(taps\)/);
});
