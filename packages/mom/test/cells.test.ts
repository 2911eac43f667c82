// Mixture-of-Memories over every cell of the catalogue, against float64 memories that are fed their own tokens one by one.
import { asMixer } from '@mnemix/layers';
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
import { dot, map, momForward, nd, rows, type NdArray } from '@mnemix/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
// The table of cells is the cells' own; the last one is the example of docs/adding-a-cell.md.
import { cellCases } from '../../cells/test/cases.ts';
import { movingAverage } from '../../cells/test/example/moving-average.ts';
import { movingAverageOracle } from '../../cells/test/example/moving-average-oracle.ts';
import { mom } from '../src/index.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

const TOKENS = 9;
const float64 = (t: Tensor): NdArray => nd(t.shape, t.dataSync());
const part = (x: Tensor3D, from: number, to: number): Tensor3D =>
  slice(x, [0, from, 0], [x.shape[0], to - from, x.shape[2]]) as Tensor3D;

const layouts = [
  { shared: true, singleKvProj: false },
  { shared: false, singleKvProj: false },
  { shared: true, singleKvProj: true },
];

const cases: readonly Pick<(typeof cellCases)[number], 'small' | 'oracle'>[] = [
  ...cellCases,
  {
    small: () => movingAverage({ width: 10, heads: 2 }),
    oracle: [movingAverageOracle, { num_heads: 2 }],
  },
];

describe.each(cases.map((row) => ({ ...row, name: row.small().name })))(
  'Mixture-of-Memories over $name',
  ({ small, oracle: [oracle, config] }) => {
    const setUp = (layout: (typeof layouts)[number]) => {
      const mixer = mom({ cell: small(), memories: 3, topK: 2, ...layout });
      const params = mapTree(mixer.init(Rng.of(1)), (leaf, path) =>
        Rng.of(3).fold(path).normal(leaf.shape, 0, 0.5),
      );
      const x = Rng.of(2).normal([2, TOKENS, mixer.width]) as Tensor3D;
      const values: Record<string, NdArray> = Object.fromEntries(
        Array.from(entries(params as ParamTree), ([path, leaf]) => [path, float64(leaf)]),
      );
      values['x'] = float64(reshape(x, [2 * TOKENS, mixer.width]));
      return { mixer, params, x, values };
    };

    /** y of both sequences. */
    const expected = (
      { x, ...values }: Record<string, NdArray>,
      { shared, singleKvProj }: (typeof layouts)[number],
    ): number[] => {
      const options = {
        norm_eps: 1e-5,
        num_memories: 3,
        topk: 2,
        shared_mem: shared,
        single_kv_proj: singleKvProj,
        ...config,
      };
      return [0, 1].flatMap((b) => [
        ...momForward(values, options, rows(x!, b * TOKENS, (b + 1) * TOKENS), { cell: oracle }).y.data,
      ]);
    };

    it.each(layouts)('equals float64 with $shared shared, single projections $singleKvProj', (layout) => {
      tidy(() => {
        const { mixer, params, x, values } = setUp(layout);
        const wanted = expected(values, layout);
        const whole = mixer.forward(params, x).y;
        expect(reshape(whole, [wanted.length])).toBeCloseRms(wanted, 2e-5, 0);
        const first = mixer.forward(params, part(x, 0, 4));
        const second = mixer.forward(params, part(x, 4, TOKENS), { state: first.state });
        expect(concat([first.y, second.y], 1)).toBeCloseRms(whole, 1e-5);
      });
    });

    it('has the gradients of float64, along random signs in each parameter', () => {
      tidy(() => {
        const layout = { shared: true, singleKvProj: false };
        const { mixer, params, x, values } = setUp(layout);
        const dy = Rng.of(4).normal([2, TOKENS, mixer.width]);
        const { grads } = valueAndGrad((tree: { x: Tensor3D; params: ParamTree }) => ({
          value: sum(mul(mixer.forward(tree.params as never, tree.x).y, dy)) as Scalar,
        }))({ x, params: params as ParamTree });
        const slopes = { ...flatten(grads.params), x: grads.x } as Record<string, Tensor>;
        for (const [path, at] of Object.entries(values)) {
          const signs = Array.from(Rng.of(5).fold(path).normalArray(at.data.length), (z) => (z < 0 ? -1 : 1));
          const value = (by: number): number =>
            dot(
              nd(
                [2 * TOKENS * mixer.width],
                expected({ ...values, [path]: map(at, (v, i) => v + by * signs[i]!) }, layout),
              ),
              nd([2 * TOKENS * mixer.width], dy.dataSync()),
            );
          const gradient = slopes[path]!.dataSync();
          const found = signs.reduce((total, sign, i) => total + sign * gradient[i]!, 0);
          const error = Math.abs(found - (value(1e-6) - value(-1e-6)) / 2e-6);
          expect(error, path).toBeLessThanOrEqual(1e-3 * Math.hypot(...gradient) + 1e-6);
        }
      });
    });

    it('goes a token at a time, and leaks nothing', () => {
      const layout = { shared: true, singleKvProj: false };
      const { mixer, params, x } = setUp(layout);
      const before = memory().numTensors;
      tidy(() => {
        const whole = mixer.forward(params, x);
        let state = mixer.initialState(2);
        for (let t = 0; t < TOKENS; t++) {
          const token = reshape(part(x, t, t + 1), [2, mixer.width]) as Tensor2D;
          const result = mixer.step(params, token, state);
          expect(result.y).toBeCloseRms(reshape(part(whole.y, t, t + 1), [2, mixer.width]), 1e-5);
          state = result.state;
        }
        const [found, wanted] = [flatten(state as never), flatten(whole.state as never)];
        for (const [path, leaf] of Object.entries(wanted)) expect(found[path], path).toBeCloseRms(leaf, 1e-5);
      });
      expect(memory().numTensors).toBe(before);
      for (const leaf of [x, ...leaves(params as ParamTree)]) leaf.dispose();
    });

    it('of one memory and no shared one is the cell alone', () => {
      tidy(() => {
        const cell = small();
        const alone = asMixer(cell);
        const mixed = mom({ cell, memories: 1, topK: 1, shared: false });
        const params = mixed.init(Rng.of(1));
        const own = Object.fromEntries(
          Object.entries(params).map(([name, tree]) => [
            name,
            cell.perMemory.includes(name) ? (tree as readonly ParamTree[])[0] : tree,
          ]),
        );
        const x = Rng.of(2).normal([2, TOKENS, cell.width]) as Tensor3D;
        expect(mixed.forward(params, x).y).toBeCloseRms(alone.forward(own, x).y, 1e-6);
      });
    });
  },
);
