// What the layer becomes where parts of it are left out: attention, its sliding window, the fading memory alone; and the two
// other ways to say what it computes, attention over an interleaved sequence and a heap of tokens.
import { cells } from '@mnemix/cells';
import {
  asMixer,
  softmaxAttention,
  type Mixer,
  type SoftmaxAttentionConfig,
  type State,
} from '@mnemix/layers';
import {
  concat,
  flatten,
  greaterEqual,
  mul,
  openBackend,
  reshape,
  Rng,
  slice,
  sum,
  tensor1d,
  tensor2d,
  tensor3d,
  tidy,
  valueAndGrad,
  zeros,
  type ParamTree,
  type Scalar,
  type Tensor,
  type Tensor3D,
} from '@mnemix/tensor';
import {
  at as at64,
  dot,
  linear,
  nd,
  reshape as reshape64,
  rmsNorm,
  softmax,
  type NdArray,
} from '@mnemix/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { bmojo, type BmojoConfig, type MemoryPolicy } from '../src/index.ts';
import { givenOutputs } from './given-outputs.ts';
import { drawn, near, normal, part } from './parts.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

/** Outputs, and gradients of Σ dy·y, from two passes: up to token `cut`, and on. */
function outcome(
  mixer: Mixer,
  params: ParamTree,
  x: Tensor3D,
  dy: Tensor3D,
  cut: number,
): { y: Tensor3D; params: ParamTree; x: Tensor3D } {
  const tokens = x.shape[1];
  const run = (tree: { x: Tensor3D; params: ParamTree }) => {
    let state: State | undefined;
    const pieces = [0, cut].map((from, i) => {
      const result = mixer.forward(tree.params, part(tree.x, from, i === 0 ? cut : tokens), { state });
      ({ state } = result);
      return result.y;
    });
    const y = concat(pieces, 1) as Tensor3D;
    return { value: sum(mul(y, dy)) as Scalar, aux: { y } };
  };
  const { grads, aux } = valueAndGrad(run)({ x, params });
  return { y: aux.y, ...grads };
}

/** The same outputs, and the same gradients of what both have. */
function expectSame(found: ReturnType<typeof outcome>, wanted: ReturnType<typeof outcome>): void {
  near(found.y, wanted.y, 1e-5);
  near(found.x, wanted.x, 1e-4);
  const gradients = flatten(found.params);
  for (const [path, gradient] of Object.entries(flatten(wanted.params)))
    near(gradients[path] as Tensor, gradient, 1e-4);
}

const attentions: readonly [string, Omit<SoftmaxAttentionConfig, 'width' | 'window'>][] = [
  ['as it is', { heads: 3, ropeBase: 0 }],
  ['with norms of queries and keys', { heads: 3, ropeBase: 0, qkNorm: true }],
  ['with rotary positions', { heads: 3, ropeBase: 500 }],
  ['with grouped heads', { heads: 6, kvHeads: 2, ropeBase: 0, qkNorm: true }],
  [
    'with grouped heads, wider, rotary, with norms',
    { heads: 4, kvHeads: 2, headWidth: 6, ropeBase: 100, qkNorm: true },
  ],
];

describe.each(attentions)('without memories: attention %s', (_, { qkNorm = false, ...options }) => {
  it.each([
    ['whole, where the window covers all', 64, undefined],
    ['in a sliding window of 4', 4, 4],
    ['in a sliding window of 1', 1, 1],
    ['in a sliding window of 5', 5, 5],
  ])('%s', (__, window, visible) => {
    tidy(() => {
      const layer = bmojo({ width: 12, window, qkNorm, ...options }) as unknown as Mixer;
      const attention = softmaxAttention({
        width: 12,
        window: visible,
        qkNorm,
        ...options,
      }) as unknown as Mixer;
      const params = drawn(layer);
      const [x, dy] = [normal(2, [2, 13, 12]), normal(4, [2, 13, 12])];
      const wanted = outcome(attention, params, x, dy, 6);
      for (const cut of [1, 7]) expectSame(outcome(layer, params, x, dy, cut), wanted);
    });
  });
});

describe('the current output alone, values and outputs projected there and back', () => {
  /** I − 2 v vᵀ/|v|² is its own inverse. */
  const reflection = (seed: number, size: number): Tensor => {
    const v = Array.from(Rng.of(seed).normalArray(size));
    const square = v.reduce((total, value) => total + value * value, 0);
    return tensor2d(v.map((a, i) => v.map((b, j) => (i === j ? 1 : 0) - (2 * a * b) / square)));
  };
  const width = 12;
  const memories = {
    linear_attention: cells.linear_attention.create({ width, heads: 2 }),
    gla: cells.gla.create({ width, heads: 2 }),
    gated_delta_net: cells.gated_delta_net.create({ width, heads: 2, headWidth: 5, expandV: 1 }),
    mamba2: cells.mamba2.create({ width, heads: 3, stateWidth: 4 }),
    rwkv7: cells.rwkv7.create({ width, headWidth: 6 }),
  };

  it.each(Object.entries(memories))('%s: is the fading memory', (_, cell) => {
    tidy(() => {
      const memory = asMixer(cell) as Mixer;
      const layer = bmojo({
        width,
        heads: 3,
        window: 4,
        inContext: false,
        fading: memory,
        fadingTokens: { source: 'current', norm: false },
      }) as unknown as Mixer;
      const own = drawn(memory);
      const start = drawn(layer) as Record<string, ParamTree>;
      const there = { weight: reflection(5, width) };
      const params = { ...start, v_proj: there, o_proj: there, fading: own };
      const [x, dy] = [normal(2, [2, 11, width]), normal(4, [2, 11, width])];
      const wanted = outcome(memory, own, x, dy, 5);
      for (const cut of [1, 6]) {
        const found = outcome(layer, params, x, dy, cut);
        expectSame({ ...found, params: (found.params as Record<string, ParamTree>).fading }, wanted);
        const { q_proj: query, k_proj: key } = found.params as Record<string, { weight: Tensor }>;
        near(query, { weight: zeros([width, width]) });
        near(key, { weight: zeros([width, width]) });
      }
    });
  });
});

describe('the memory attention', () => {
  /** Small numbers by seed. */
  const sizesOf = (seed: number) => {
    const draw = (label: string, low: number, high: number) =>
      Rng.of(seed).fold(label).integers(1, low, high)[0] as number;
    const window = draw('window', 1, 7);
    const kvHeads = draw('kvHeads', 1, 3);
    return {
      window,
      kvHeads,
      heads: kvHeads * draw('group', 1, 3),
      headWidth: draw('headWidth', 2, 6),
      fading: draw('fading', 1, window + 1),
      slots: draw('slots', 1, 6),
      tokens: draw('tokens', 2, 30),
    };
  };
  type Sizes = ReturnType<typeof sizesOf>;

  const rankOf = (position: number): number => ((position * 7) % 11) + position / 100;

  /**
   * Ordinary sliding-window attention in float64: each entry of the sequence [F_0 E_0 U_0] [F_1 E_1 U_1] … sees the last
   * K = w + mF + mE, itself included, except the places that are empty. What tokens u read, [T, d].
   */
  function interleaved(
    { window, kvHeads, heads, headWidth, fading, slots, tokens }: Sizes,
    params: Record<string, NdArray>,
    { u, y }: Record<'u' | 'y', NdArray>,
  ): NdArray {
    const perHead = (x: NdArray, name: 'q' | 'k' | 'v', count: number): NdArray => {
      const split = reshape64(linear(x, params[`${name}_proj.weight`]!), [x.shape[0]!, count, headWidth]);
      return name === 'v' ? split : rmsNorm(split, params[`${name}_norm.weight`], 1e-5);
    };
    const made = {
      u: { k: perHead(u, 'k', kvHeads), v: perHead(u, 'v', kvHeads) },
      y: { k: perHead(y, 'k', kvHeads), v: perHead(y, 'v', kvHeads) },
    };
    const queries = perHead(u, 'q', heads);
    type Entry = { readonly of: 'u' | 'y'; readonly token: number; readonly asks?: true };
    const sequence: (Entry | undefined)[] = [];
    for (let first = 0; first < tokens; first += window) {
      const last = Array.from({ length: fading }, (_, i) => first - fading + i);
      const best = Array.from({ length: first }, (_, t) => t)
        .sort((a, b) => rankOf(b) - rankOf(a))
        .slice(0, slots);
      sequence.push(
        ...last.map((token) => (token < 0 ? undefined : ({ of: 'y', token } as const))),
        ...Array.from({ length: slots }, (_, i) =>
          i < best.length ? ({ of: 'u', token: best[i]! } as const) : undefined,
        ),
        ...Array.from(
          { length: Math.min(window, tokens - first) },
          (_, j) => ({ of: 'u', token: first + j, asks: true }) as const,
        ),
      );
    }
    const K = window + fading + slots;
    const o = nd([tokens, heads * headWidth]);
    sequence.forEach((entry, i) => {
      if (!entry?.asks) return;
      const seen = sequence.slice(Math.max(0, i - K + 1), i + 1).filter((other) => other !== undefined);
      for (let h = 0; h < heads; h++) {
        const group = Math.floor(h / (heads / kvHeads));
        const q = at64(at64(queries, entry.token), h);
        const scores = seen.map(
          ({ of, token }) => dot(q, at64(at64(made[of].k, token), group)) / Math.sqrt(headWidth),
        );
        const read = at64(reshape64(at64(o, entry.token), [heads, headWidth]), h).data;
        softmax(nd([seen.length], scores)).data.forEach((weight, s) => {
          const { of, token } = seen[s]!;
          at64(at64(made[of].v, token), group).data.forEach((value, c) => (read[c]! += weight * value));
        });
      }
    });
    return linear(o, params['o_proj.weight']!);
  }

  it.each(Array.from({ length: 12 }, (_, seed) => [seed, sizesOf(seed)] as const))(
    'is sliding-window attention over fading tokens, slots and chunks in turn: sizes %i, %o',
    (seed, sizes) => {
      tidy(() => {
        const { window, kvHeads, heads, headWidth, fading, slots, tokens } = sizes;
        const width = 5;
        const givenRanks: MemoryPolicy = {
          name: 'given',
          config: {},
          score: ({ rowPosition }) => tensor1d(Float32Array.from(rowPosition.dataSync(), rankOf)),
        };
        const layer = bmojo({
          width,
          heads,
          kvHeads,
          headWidth,
          window,
          fading: givenOutputs(width, tokens) as never,
          fadingTokens: { count: fading, norm: false },
          eidetic: { slots, policy: givenRanks },
        }) as unknown as Mixer;
        const params = drawn(layer, seed);
        const [x, dy] = [normal(seed + 20, [1, tokens, width]), normal(seed + 40, [1, tokens, width])];
        const found = outcome(layer, params, x, dy, Math.ceil(tokens / 2));

        const leaves = { ...flatten(params), u: x };
        const values = Object.fromEntries(
          Object.entries(leaves).map(([path, leaf]) => [path, nd(leaf.shape, leaf.dataSync())]),
        );
        const attention = (inputs: Record<string, NdArray>): NdArray => {
          const { u, 'fading.y': y, ...weights } = inputs;
          const asRows = (value: NdArray): NdArray => reshape64(value, [tokens, width]);
          return interleaved(sizes, weights, { u: asRows(u!), y: asRows(y!) });
        };
        expect(reshape(found.y, [tokens, width])).toBeCloseRms(attention(values), 1e-5);

        const weighed = dy.dataSync();
        const gradients = { ...flatten(found.params), u: found.x } as Record<string, Tensor>;
        for (const [path, { shape, data }] of Object.entries(values)) {
          const signs = Array.from(Rng.of(seed).fold(path).normalArray(data.length), Math.sign);
          const moved = (step: number): number =>
            attention({
              ...values,
              [path]: nd(
                shape,
                data.map((value, i) => value + step * signs[i]!),
              ),
            }).data.reduce((total, value, i) => total + value * weighed[i]!, 0);
          const gradient = Array.from(gradients[path]!.dataSync());
          const along = gradient.reduce((total, value, i) => total + value * signs[i]!, 0);
          const error = Math.abs(along - (moved(1e-5) - moved(-1e-5)) / 2e-5);
          expect(error, path).toBeLessThanOrEqual(1e-4 * Math.hypot(...gradient) + 1e-6);
        }
      });
    },
  );
});

describe('the choice of slots', () => {
  /** The first channel of the input says what a token is worth; below 0 it may not enter. */
  const firstChannel: MemoryPolicy = {
    name: 'first_channel',
    config: {},
    score: ({ inputs }) => reshape(slice(inputs, [0, 0], [inputs.shape[0], 1]), [inputs.shape[0]]),
    admit: (scores) => greaterEqual(scores, 0),
  };

  /** Token by token: whoever is worth more than the least of what is held takes its place; of equals the older stays. */
  class Heap {
    held: { readonly position: number; readonly rank: number }[] = [];
    constructor(readonly slots: number) {}
    add(position: number, rank: number): void {
      if (rank < 0) return;
      const place = this.held.findIndex((other) => other.rank < rank);
      this.held.splice(place < 0 ? this.held.length : place, 0, { position, rank });
      this.held.length = Math.min(this.held.length, this.slots);
    }
  }

  /** Of a whole prefix. */
  const best = (ranks: readonly number[], slots: number): number[] =>
    Array.from(ranks.keys())
      .filter((position) => ranks[position]! >= 0)
      .sort((a, b) => ranks[b]! - ranks[a]! || a - b)
      .slice(0, slots);

  it.each([1, 3, 4, 7].flatMap((window) => [1, 2, 5, 40].map((slots) => [window, slots] as const)))(
    'is that of a heap, and of whole prefixes, at every chunk of %i tokens with %i slots, ties included',
    (window, slots) => {
      tidy(() => {
        const [batch, tokens, width] = [8, 33, 2];
        const ranks = Array.from({ length: batch }, (_, b) =>
          Array.from(
            Rng.of(1)
              .fold(b)
              .integers(tokens, -1, 2 + b),
            (rank) => rank,
          ),
        );
        const x = tensor3d(ranks.map((own) => own.map((rank) => [rank, 1])));
        const layers = (['chunk', 'token'] as const).map((refresh) =>
          bmojo({ width, heads: 1, window, eidetic: { slots, refresh, policy: firstChannel } }),
        );
        const params = layers[0]!.init(Rng.of(1));
        const [byChunk, byToken] = layers.map((layer) => {
          const { positions } = layer.forward(params, x).aux.eidetic as { positions: Tensor3D };
          return positions.arraySync();
        });
        const taken = (positions: number[]): number[] => positions.filter((position) => position >= 0);
        ranks.forEach((own, b) => {
          const heap = new Heap(slots);
          for (let t = 0; t < tokens; t++) {
            const before = heap.held.map(({ position }) => position);
            expect(before).toEqual(best(own.slice(0, t), slots));
            if (t % window === 0)
              expect(taken(byChunk![b]![t / window]!), `before ${t} of ${b}`).toEqual(before);
            heap.add(t, own[t]!);
            const after = heap.held.map(({ position }) => position);
            expect(taken(byToken![b]![t]!), `at ${t} of ${b}`).toEqual(after);
          }
          expect(byChunk![b]).toHaveLength(Math.ceil(tokens / window));
        });
      });
    },
  );
});

describe('what a query sees, by the gradients of its output', () => {
  const tokens = 11;
  const sees = (
    options: Pick<BmojoConfig, 'inContext' | 'fadingTokens'>,
    query: number,
  ): Record<'inputs' | 'outputs', number[]> => {
    const width = 4;
    const layer = bmojo({
      width,
      heads: 2,
      window: 3,
      fading: givenOutputs(width, tokens) as never,
      ...options,
    });
    const params = drawn(layer as unknown as Mixer);
    const { grads } = valueAndGrad((tree: { x: Tensor3D; params: ParamTree }) => ({
      value: sum(part(layer.forward(tree.params as never, tree.x).y, query, query + 1)) as Scalar,
    }))({ x: normal(2, [1, tokens, width]), params });
    const touched = (gradient: Tensor): number[] => {
      const values = gradient.dataSync();
      return Array.from({ length: tokens }, (_, t) => t).filter((t) =>
        values.subarray(t * width, (t + 1) * width).some((value) => value !== 0),
      );
    };
    const { y } = (grads.params as { fading: { y: Tensor } }).fading;
    return { inputs: touched(grads.x), outputs: touched(y) };
  };

  it.each([
    ['offsetWindow', 1, 6, [1, 2, 3]],
    ['offsetWindow', 1, 3, [0]],
    ['offsetWindow', 1, 2, []],
    ['tail', 1, 6, [5]],
    ['tail', 3, 8, [3, 4, 5]],
    ['tail', 2, 2, []],
    ['chunkEnds', 1, 7, [5]],
    ['chunkEnds', 2, 10, [5, 8]],
    ['chunkEnds', 4, 6, [2, 5]],
    ['current', 1, 6, [6]],
    ['none', 1, 6, []],
  ] as const)(
    'in a window of 3 with %s, count %i, query %i: the last 3 inputs, outputs %j',
    (source, count, query, outputs) => {
      tidy(() => {
        const found = sees({ fadingTokens: { source, count } }, query);
        expect(found.inputs).toEqual([query - 2, query - 1, query].filter((t) => t >= 0));
        expect(found.outputs).toEqual(outputs);
      });
    },
  );

  it('without a window: memories alone', () => {
    tidy(() => {
      const found = sees({ inContext: false, fadingTokens: { source: 'offsetWindow' } }, 6);
      expect(found).toEqual({ inputs: [6], outputs: [1, 2, 3] });
    });
  });
});
