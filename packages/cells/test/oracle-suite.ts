// A cell against its float64 layer: two sequences, cut in two with a carried state; the gradient of the input and of every
// parameter against central differences.
import { asMixer, type AnyCell } from '@mnemix/layers';
import {
  concat,
  entries,
  flatten,
  mapTree,
  mul,
  reshape,
  Rng,
  slice,
  sum,
  tidy,
  valueAndGrad,
  type ParamTree,
  type Scalar,
  type Tensor,
  type Tensor3D,
} from '@mnemix/tensor';
import { cellForward, nd, rows, type CellOracle, type FlaConfig, type NdArray } from '@mnemix/testkit';
import { describe, expect, it } from 'vitest';

/** `config` is what the oracle is told of the cell's options. */
export type OracleCase = readonly [name: string, cell: AnyCell, oracle: CellOracle, config: FlaConfig];

const TOKENS = 13;
const float64 = (t: Tensor): NdArray => nd(t.shape, t.dataSync());
const part = (x: Tensor3D, from: number, to: number): Tensor3D =>
  slice(x, [0, from, 0], [2, to - from, x.shape[2]]) as Tensor3D;

/** Wider weights than the usual start, so that gates and activations are far from linear. */
const wide = (params: ParamTree): ParamTree =>
  mapTree(params, (leaf, path) => Rng.of(3).fold(path).normal(leaf.shape, 0, 0.5));

type Values = Readonly<Record<string, NdArray>>;

/** y of both sequences, [2·T·d]. */
function expectedOutput(oracle: CellOracle, config: FlaConfig, { x, ...params }: Values): number[] {
  const all = { norm_eps: 1e-5, ...config };
  return [0, 1].flatMap((b) => [
    ...cellForward(oracle, params, all, rows(x!, b * TOKENS, (b + 1) * TOKENS)).y.data,
  ]);
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((total, x, i) => total + x * b[i]!, 0);

export function describeOracles(cases: readonly OracleCase[]): void {
  describe.each(cases)('%s', (_, cell, oracle, config) => {
    const mixer = asMixer(cell);
    const { width } = cell;
    const setUp = () => ({
      params: wide(mixer.init(Rng.of(1))),
      x: Rng.of(2).normal([2, TOKENS, width]) as Tensor3D,
    });
    const valuesOf = (params: ParamTree, x: Tensor3D): Values => ({
      ...Object.fromEntries(Array.from(entries(params), ([path, leaf]) => [path, float64(leaf)])),
      x: float64(reshape(x, [2 * TOKENS, width])),
    });

    it('equals the float64 layer, with a state carried in the middle', () => {
      tidy(() => {
        const { params, x } = setUp();
        const first = mixer.forward(params, part(x, 0, 6));
        const second = mixer.forward(params, part(x, 6, TOKENS), { state: first.state });
        const expected = expectedOutput(oracle, config, valuesOf(params, x));
        expect(reshape(concat([first.y, second.y], 1), [expected.length])).toBeCloseRms(expected, 1e-5, 0);
      });
    });

    it('has the gradients of the float64 layer, along random signs in each parameter', () => {
      tidy(() => {
        const { params, x } = setUp();
        const dy = Rng.of(4).normal([2, TOKENS, width]);
        const { grads } = valueAndGrad((tree: { x: Tensor3D; params: ParamTree }) => ({
          value: sum(mul(mixer.forward(tree.params, tree.x).y, dy)) as Scalar,
        }))({ x, params });
        const slopes = { ...flatten(grads.params), x: grads.x } as Record<string, Tensor>;
        const at = valuesOf(params, x);
        const weights = dy.dataSync();
        for (const [path, { shape, data }] of Object.entries(at)) {
          const draws = Rng.of(5).fold(path).normalArray(data.length);
          const signs = Array.from(draws, (draw) => (draw < 0 ? -1 : 1));
          const value = (by: number): number => {
            const moved = nd(
              shape,
              data.map((v, i) => v + by * signs[i]!),
            );
            return dot(expectedOutput(oracle, config, { ...at, [path]: moved }), weights);
          };
          const expected = (value(1e-6) - value(-1e-6)) / 2e-6;
          const gradient = slopes[path]!.dataSync();
          // Over random signs, the squared slope is ‖gradient‖² on average: that is what 1e-3 is relative to.
          const error = Math.abs(dot(gradient, signs) - expected);
          expect(error, path).toBeLessThanOrEqual(1e-3 * Math.sqrt(dot(gradient, gradient)) + 1e-7);
        }
      });
    });
  });
}
