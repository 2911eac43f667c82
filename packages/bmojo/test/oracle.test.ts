// The layer against its definition in float64, one query at a time; and the golden data.
import {
  add,
  cast,
  concat,
  flatten,
  greaterEqual,
  mapTree,
  mul,
  openBackend,
  range,
  reshape,
  Rng,
  slice,
  sum,
  tensor1d,
  tensor3d,
  tidy,
  unflatten,
  valueAndGrad,
  type Scalar,
  type Tensor,
  type Tensor2D,
  type Tensor3D,
} from '@mnemix/tensor';
import {
  bmojoAttention,
  bmojoFixtureNames,
  centralDifferences,
  nd,
  readBmojoFixture,
  reshape as reshape64,
  type NdArray,
} from '@mnemix/testkit';
import { describe, expect, it } from 'vitest';
import { bmojo, type BmojoParams, type BmojoState, type MemoryPolicy } from '../src/index.ts';
import { cases, rankOf, width } from './cases.ts';
import { givenOutputs } from './given-outputs.ts';

const TOKENS = 19;
const float64 = (x: Tensor): NdArray => nd(x.shape, x.dataSync());
const part = (x: Tensor3D, from: number, to: number): Tensor3D =>
  slice(x, [0, from, 0], [x.shape[0], to - from, x.shape[2]]) as Tensor3D;
const at = (x: Tensor3D, t: number): Tensor2D =>
  reshape(part(x, t, t + 1), [x.shape[0], x.shape[2]]) as Tensor2D;

const givenRanks: MemoryPolicy = {
  name: 'given',
  config: {},
  score: ({ rowPosition }) => tensor1d(Float32Array.from(rowPosition.dataSync(), rankOf)),
};

describe.each(['wasm', 'cpu'] as const)('on %s', (backend) => {
  describe.each(Object.entries(cases))('%s', (_, { options, oracle }) => {
    const { eidetic } = options;
    const mixer = bmojo({
      width,
      heads: 4,
      kvHeads: 2,
      headWidth: 4,
      window: 4,
      ...options,
      fading: givenOutputs(width, TOKENS, 2) as never,
      eidetic: eidetic && { ...eidetic, policy: givenRanks },
    });
    const setUp = () => {
      const start = mixer.init(Rng.of(1));
      const wide = Object.fromEntries(
        Object.entries(flatten(start)).map(([path, leaf]) => [
          path,
          path.endsWith('norm.weight')
            ? add(Rng.of(4).fold(path).normal(leaf.shape, 0, 0.2), 1)
            : Rng.of(3)
                .fold(path)
                .normal(leaf.shape, 0, path === 'fading.y' ? 1 : 0.4),
        ]),
      );
      const params = unflatten(start, wide);
      const x = Rng.of(2).normal([2, TOKENS, width]) as Tensor3D;
      const named = Object.fromEntries(
        Object.entries(wide)
          .filter(([path]) => path !== 'fading.y')
          .map(([path, leaf]) => [path, float64(leaf)]),
      );
      const scores = Array.from({ length: TOKENS }, (__, t) => rankOf(t));
      const y = params.fading as { y: Tensor3D };
      const rowOf = (whole: Tensor3D, b: number): NdArray =>
        float64(reshape(slice(whole, [b, 0, 0], [1, TOKENS, width]), [TOKENS, width]));
      const expected = (b: number, inputs: Record<string, NdArray> = named) =>
        bmojoAttention(oracle, inputs, inputs.u ?? rowOf(x, b), inputs.y ?? rowOf(y.y, b), scores);
      return { params, x, named, expected, rowOf, y: y.y };
    };

    it('equals the definition, memory content too', async () => {
      await openBackend(backend);
      tidy(() => {
        const { params, x, expected } = setUp();
        const { y, aux } = mixer.forward(params, x);
        const wanted = [0, 1].flatMap((b) => [...expected(b).out.data]);
        expect(reshape(y, [wanted.length])).toBeCloseRms(wanted, 1e-5, 0);
        if (!eidetic) return;
        const { positions } = aux.eidetic as { positions: Tensor3D };
        const [, blocks, slots] = positions.shape;
        const found = positions.dataSync();
        expected(0).memory.forEach((held, block) => {
          const own = Array.from(found.subarray(block * slots, (block + 1) * slots));
          expect(own.filter((p) => p >= 0).sort((a, b) => a - b)).toEqual(held);
        });
        expect(expected(0).memory.length).toBe(blocks);
      });
    });

    it('gives the same when it is cut anywhere, and a token at a time, with a state that does not grow', async () => {
      await openBackend(backend);
      tidy(() => {
        const { params, x } = setUp();
        const whole = mixer.forward(params, x);
        for (const cuts of [
          [0, 1],
          [0, 4],
          [0, 7, 8, 9],
          [0, 3, 16],
          [0, 11],
        ]) {
          let state: BmojoState | undefined;
          const pieces = cuts.map((from, i) => {
            const result = mixer.forward(params, part(x, from, cuts[i + 1] ?? TOKENS), { state });
            ({ state } = result);
            return result.y;
          });
          expect(concat(pieces, 1)).toBeCloseRms(whole.y, 1e-5);
          for (const [path, leaf] of Object.entries(flatten(whole.state)))
            expectSame(flatten(state as BmojoState)[path] as Tensor, leaf);
        }
        let state = mixer.initialState(2);
        const sizes = (tree: BmojoState) =>
          Object.entries(flatten(tree))
            .map(([path, leaf]) => [path, leaf.size] as const)
            .sort();
        const before = sizes(state);
        for (let t = 0; t < TOKENS; t++) {
          const result = mixer.step(params, at(x, t), state);
          expect(result.y).toBeCloseRms(at(whole.y, t), 1e-5);
          ({ state } = result);
          expect(sizes(state)).toEqual(before);
        }
        expect(
          before.reduce(
            (total, [path, size]) => total + (path === 'fading.tokens' ? 0 : 4 * Number(size)),
            8,
          ),
        ).toBe(mixer.stateBytes(2));
      });
    });

    it('has the gradients of the definition, through cuts too', async () => {
      await openBackend(backend);
      tidy(() => {
        const { params, x, named, expected, rowOf, y } = setUp();
        const weights = Rng.of(9).normal([1, TOKENS, width]) as Tensor3D;
        const own = { ...params, fading: { y: row(y, 0) } } as BmojoParams;
        const values: Record<string, NdArray> = { ...named, u: rowOf(x, 0), y: rowOf(y, 0) };
        const weighed = weights.dataSync();
        const loss = (inputs: Record<string, NdArray>): number =>
          expected(0, inputs).out.data.reduce((total, value, i) => total + value * weighed[i]!, 0);
        for (const cuts of [[0], [0, 6, 13]]) {
          const found = gradients(mixer, own, row(x, 0), weights, cuts);
          for (const [name, { shape, data }] of Object.entries(values)) {
            const signs = Rng.of(5).fold(name).uniformArray(data.length, -1, 1).map(Math.sign);
            const moved = (step: number): number =>
              loss({
                ...values,
                [name]: nd(
                  shape,
                  data.map((value, i) => value + step * signs[i]!),
                ),
              });
            const slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            const own64 = Array.from(found[name]!.dataSync());
            const along = own64.reduce((total, value, i) => total + value * signs[i]!, 0);
            const size = Math.hypot(...own64);
            expect(Math.abs(along - slope), name).toBeLessThanOrEqual(1e-4 * Math.max(size, 1e-3));
          }
        }
      });
    });
  });
});

describe('every entry of the gradients', () => {
  const chosen = ['the paper’s: tail, slots', 'spans', 'outputs in the slots'];
  it.each(chosen)('%s: as the definition’s, and 0 for what no query sees', async (name) => {
    await openBackend('wasm');
    tidy(() => {
      const { options, oracle } = cases[name]!;
      const tokens = 11;
      const { eidetic } = options;
      const mixer = bmojo({
        width: 6,
        heads: 2,
        kvHeads: 1,
        headWidth: 3,
        window: 3,
        ...options,
        fading: givenOutputs(6, tokens) as never,
        eidetic: eidetic && { ...eidetic, policy: givenRanks },
      });
      const start = mixer.init(Rng.of(1));
      const params = mapTree(start, (leaf, path) =>
        path.endsWith('norm.weight')
          ? leaf
          : (Rng.of(3).fold(path).normal(leaf.shape, 0, 0.6) as typeof leaf),
      );
      const x = Rng.of(2).normal([1, tokens, 6]) as Tensor3D;
      const weights = Rng.of(9).normal([1, tokens, 6]) as Tensor3D;
      // The outputs of some queries only, so that some tokens are seen by none.
      const late = mul(weights, cast(greaterEqual(reshape(range(0, tokens), [1, tokens, 1]), 9), 'float32'));
      const { 'fading.y': y, ...rest } = flatten(params);
      const values: Record<string, NdArray> = {
        ...Object.fromEntries(Object.entries(rest).map(([path, leaf]) => [path, float64(leaf)])),
        u: float64(reshape(x, [tokens, 6])),
        y: float64(reshape(y as Tensor, [tokens, 6])),
      };
      const weighed = late.dataSync();
      const scores = Array.from({ length: tokens }, (_, t) => rankOf(t));
      const wanted = centralDifferences(
        (inputs) =>
          bmojoAttention(
            { ...oracle, heads: 2, kvHeads: 1, headWidth: 3, window: 3 },
            inputs,
            inputs.u!,
            inputs.y!,
            scores,
          ).out.data.reduce((total, value, i) => total + value * weighed[i]!, 0),
        values,
      );
      const found = gradients(mixer, params, x, late as Tensor3D, [0]);
      let unseen = 0;
      for (const [path, gradient] of Object.entries(wanted)) {
        expect(found[path], path).toBeCloseRms(reshape64(gradient, found[path]!.shape), 1e-4);
        const own = found[path]!.dataSync();
        gradient.data.forEach((value, i) => {
          if (value !== 0) return;
          unseen++;
          expect(own[i], `${path}[${i}]`).toBe(0);
        });
      }
      expect(unseen).toBeGreaterThan(0);
    });
  });
});

/** Of Σ weights·y, by name; `u` and `y` as rows. */
function gradients(
  mixer: ReturnType<typeof bmojo>,
  params: BmojoParams,
  x: Tensor3D,
  weights: Tensor3D,
  cuts: readonly number[],
): Record<string, Tensor> {
  const [, tokens, size] = x.shape;
  const loss = (tree: { params: BmojoParams; x: Tensor3D }) => {
    let state: BmojoState | undefined;
    const pieces = cuts.map((from, i) => {
      const result = mixer.forward(tree.params, part(tree.x, from, cuts[i + 1] ?? tokens), { state });
      ({ state } = result);
      return result.y;
    });
    return { value: sum(mul(concat(pieces, 1), weights)) as Scalar };
  };
  const { grads } = valueAndGrad(loss as never)({ params, x } as never) as unknown as {
    grads: { params: BmojoParams; x: Tensor3D };
  };
  const { 'fading.y': y, ...rest } = flatten(grads.params);
  return { ...rest, u: reshape(grads.x, [tokens, size]), y: reshape(y as Tensor, [tokens, size]) };
}

const row = (x: Tensor3D, b: number): Tensor3D =>
  slice(x, [b, 0, 0], [1, x.shape[1], x.shape[2]]) as Tensor3D;

/** Equal where finite, and infinite alike. */
function expectSame(found: Tensor, wanted: Tensor): void {
  const [a, b] = [Array.from(found.dataSync()), Array.from(wanted.dataSync())];
  expect(a.map((v) => Number.isFinite(v))).toEqual(b.map((v) => Number.isFinite(v)));
  const finite = (values: number[]): number[] => values.filter(Number.isFinite);
  if (finite(b).length > 0) expect(finite(a)).toBeCloseRms(finite(b), 1e-5);
}

describe('golden data', () => {
  it.each(bmojoFixtureNames)('%s', async (name) => {
    await openBackend('wasm');
    tidy(() => {
      const { config, taps, error, params, u, y, innovation, memory, out } = readBmojoFixture(name);
      const { fadingTokens, eidetic, ...rest } = config;
      const [tokens = 0, size = 0] = u.shape;
      const hasFading = fadingTokens.source !== 'none' || eidetic.slots > 0;
      const mixer = bmojo({
        width: size,
        ...rest,
        fading: hasFading ? (givenOutputs(size, tokens) as never) : undefined,
        ...(hasFading ? { fadingTokens } : {}),
        eidetic: eidetic.slots > 0 ? { ...eidetic, policy: { type: 'innovation', taps, error } } : undefined,
      });
      const tensors = Object.fromEntries(
        Object.entries(params).map(([path, { shape, data }]) => [
          path,
          [Float32Array.from(data), shape] as const,
        ]),
      );
      const start = mixer.init(Rng.of(1));
      const tree = unflatten(
        start,
        Object.fromEntries(
          Object.entries(flatten(start)).map(([path, leaf]) => {
            if (path === 'fading.y') return [path, tensor3d(Float32Array.from(y.data), [1, tokens, size])];
            const [data, shape] = tensors[path]!;
            return [path, reshape(tensor1d(data), [...shape])] as [string, typeof leaf];
          }),
        ),
      );
      const x = tensor3d(Float32Array.from(u.data), [1, tokens, size]);
      const result = mixer.forward(tree, x);
      expect(reshape(result.y, out.shape as [number, number])).toBeCloseRms(out, 1e-5, 0);
      if (eidetic.slots === 0) return;
      const { positions, ranks } = result.aux.eidetic as { positions: Tensor3D; ranks: Tensor };
      expect(ranks).toBeCloseRms(innovation, 1e-5, 0);
      const found = positions.dataSync();
      memory.forEach((held, c) => {
        const own = Array.from(found.subarray(c * eidetic.slots, (c + 1) * eidetic.slots));
        expect(own.filter((p) => p >= 0).sort((a, b) => a - b)).toEqual(held);
      });
    });
  });
});
