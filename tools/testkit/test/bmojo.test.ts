import { describe, expect, it } from 'vitest';
import {
  at,
  bmojoAttention,
  bmojoFixtureNames,
  bmojoInnovation,
  centralDifferences,
  concat,
  dot,
  linear,
  nd,
  readBmojoFixture,
  reshape,
  rmsNorm,
  rotary,
  rows,
  seededRandom,
  zipWith,
  type BmojoOracleConfig,
  type NdArray,
} from '../src/index.ts';

type Params = Record<string, NdArray>;

const base: BmojoOracleConfig = {
  heads: 4,
  kvHeads: 2,
  headWidth: 4,
  window: 3,
  inContext: true,
  fadingTokens: { source: 'none', count: 0, norm: false },
  eidetic: { slots: 0, refresh: 'chunk', payload: 'input', span: 0, dedupe: false },
  qkNorm: false,
  ropeBase: 0,
  tied: true,
  skip: false,
  normEps: 1e-6,
};
const fading = (source: BmojoOracleConfig['fadingTokens']['source'], count = 0, norm = false) => ({
  fadingTokens: { source, count, norm },
});
const eidetic = (slots: number, rest: Partial<BmojoOracleConfig['eidetic']> = {}) => ({
  eidetic: { ...base.eidetic, slots, ...rest },
});

/** All parameters that any configuration of these sizes may ask for, and one sequence. */
function draw({ heads, kvHeads, headWidth }: BmojoOracleConfig, tokens: number, seed: number) {
  const random = seededRandom(seed);
  const width = 5;
  const params: Params = {};
  for (const prefix of ['', 'fading_']) {
    for (const [name, count] of Object.entries({ q: heads, k: kvHeads, v: kvHeads })) {
      params[`${prefix}${name}_proj.weight`] = random.normals([count * headWidth, width], 0.6);
      if (name !== 'v') params[`${prefix}${name}_norm.weight`] = random.uniforms([headWidth], 0.5, 1.5);
    }
  }
  params['o_proj.weight'] = random.normals([width, heads * headWidth], 0.5);
  params['y_norm.weight'] = random.uniforms([width], 0.5, 1.5);
  const [u, y] = [random.normals([tokens, width]), random.normals([tokens, width])];
  // Few distinct scores, so that many are equal.
  const scores = Array.from({ length: tokens }, () => random.integer(5));
  return { params, u, y, scores };
}

/** Queries of u, keys and values of x, each [T, ·, D], as `config` normalises and rotates them. */
function projected(config: BmojoOracleConfig, params: Params, u: NdArray, x: NdArray, prefix = '') {
  const project = (source: NdArray, name: string, count: number) => {
    const flat = linear(source, params[`${prefix}${name}_proj.weight`]!);
    const split = reshape(flat, [source.shape[0]!, count, config.headWidth]);
    if (name === 'v') return split;
    const normed = config.qkNorm ? rmsNorm(split, params[`${prefix}${name}_norm.weight`], 1e-6) : split;
    return config.ropeBase ? rotary(normed, 0, config.ropeBase) : normed;
  };
  return {
    q: project(u, 'q', config.heads),
    k: project(x, 'k', config.kvHeads),
    v: project(x, 'v', config.kvHeads),
  };
}

type Projected = ReturnType<typeof projected>;

/** One query's softmax over keys, each given by the projections that it belongs to and its token: → [H·D]. */
function read(
  config: BmojoOracleConfig,
  t: number,
  keys: readonly (readonly [Projected, number])[],
): NdArray {
  const { heads, kvHeads, headWidth } = config;
  const o = nd([heads * headWidth]);
  for (let h = 0; h < heads; h++) {
    const g = Math.floor((h * kvHeads) / heads);
    const powers = keys.map(([{ q, k }, s]) =>
      Math.exp(dot(at(at(q, t), h), at(at(k, s), g)) * headWidth ** -0.5),
    );
    const total = powers.reduce((sum, power) => sum + power, 0);
    keys.forEach(([{ v }, s], i) =>
      at(at(v, s), g).data.forEach((value, c) => {
        o.data[h * headWidth + c]! += (powers[i]! / total) * value;
      }),
    );
  }
  return o;
}

/** Softmax attention of u over the last `window` of its own tokens. */
function slidingWindow(config: BmojoOracleConfig, params: Params, u: NdArray, window: number): NdArray {
  const made = projected(config, params, u, u);
  const outputs = Array.from({ length: u.shape[0]! }, (_, t) => {
    const tokens = Array.from({ length: t + 1 }, (_, s) => s).filter((s) => t - s < window);
    return linear(
      read(
        config,
        t,
        tokens.map((s) => [made, s]),
      ),
      params['o_proj.weight']!,
    );
  });
  return reshape(concat(outputs), u.shape);
}

/** Admits the tokens before `end` one by one: each replaces the least (of equals the newest) if it is more. */
function admitted(slots: number, scores: readonly number[], end: number): number[] {
  const held: number[] = [];
  for (let s = 0; s < end; s++) {
    held.push(s);
    if (held.length <= slots) continue;
    const least = Math.min(...held.map((position) => scores[position]!));
    const leaver = Math.max(...held.filter((position) => scores[position] === least));
    held.splice(held.indexOf(leaver), 1);
  }
  return held;
}

describe('the golden B’MOJO attention', () => {
  // The file rounds what went in as well as what came out to nine decimals: 2e-9 of the output, and no memory.
  it.each(bmojoFixtureNames)('%s: innovation, memory and output', (name) => {
    const { config, taps, error, params, u, y, innovation, memory, out } = readBmojoFixture(name);
    const scores = bmojoInnovation(y, taps, error);
    expect([...scores]).toBeCloseRms([...innovation], 5e-10, 0);
    const result = bmojoAttention(config, params, u, y, scores);
    expect(result.memory).toEqual(memory);
    expect(result.out).toBeCloseRms(out, 3e-9, 0);
  });
});

describe('B’MOJO’s innovation', () => {
  const y = nd([4, 2], [1, 2, 3, 0, -1, 4, 5, 5]);

  it('is the error of the weighted average of the vectors before, over those that there are', () => {
    // Averages: none, (1, 2), (2.5, 0.5), (0, 3).
    const taps = [0.75, 0.25];
    expect([...bmojoInnovation(y, taps, 'l2')]).toBeCloseRms([5, 8, 24.5, 29], 1e-15, 0);
    expect([...bmojoInnovation(y, taps, 'l1')]).toBeCloseRms([3, 4, 7, 7], 1e-15, 0);
    const relative = [5 / 5.000001, 8 / 14.000001, 24.5 / 23.500001, 29 / 59.000001];
    expect([...bmojoInnovation(y, taps, 'relL2')]).toBeCloseRms(relative, 1e-14, 0);
  });
});

// Basis vectors in, uniform weights, nothing projected: an output counts what its query has seen.
describe('a query sees', () => {
  const tokens = 9;
  const width = 2 * tokens;
  const identity = nd(
    [width, width],
    Array.from({ length: width ** 2 }, (_, i) => (i % (width + 1) ? 0 : 1)),
  );
  const params: Params = {
    'q_proj.weight': nd([width, width]),
    'k_proj.weight': nd([width, width]),
    'v_proj.weight': identity,
    'o_proj.weight': identity,
  };
  const [u, y] = [rows(identity, 0, tokens), rows(identity, tokens, width)];
  const scores = [5, 1, 9, 2, 9, 8, 0, 3, 7];

  const cases: readonly [string, Partial<BmojoOracleConfig>, Record<number, string>][] = [
    ['its window', {}, { 1: 'u0 u1', 5: 'u3 u4 u5', 7: 'u5 u6 u7' }],
    [
      'the newest outputs before its chunk',
      fading('tail', 2),
      { 1: 'u0 u1', 5: 'u3 u4 u5 y1 y2', 7: 'u5 u6 u7 y4 y5' },
    ],
    [
      'as many of them as there are',
      { inContext: false, ...fading('tail', 4) },
      { 5: 'y0 y1 y2', 7: 'y2 y3 y4 y5' },
    ],
    [
      'the last outputs of the chunks before',
      fading('chunkEnds', 2),
      { 1: 'u0 u1', 5: 'u3 u4 u5 y2', 7: 'u5 u6 u7 y5 y2' },
    ],
    ['the outputs behind its window', fading('offsetWindow'), { 2: 'u0 u1 u2', 6: 'u4 u5 u6 y1 y2 y3' }],
    ['its own output', { inContext: false, ...fading('current') }, { 0: 'y0', 7: 'y7' }],
    [
      'the best tokens before its chunk',
      eidetic(2),
      { 1: 'u0 u1', 5: 'u3 u4 u5 u0 u2', 7: 'u5 u6 u7 u2 u4' },
    ],
    ['the older of equals', { inContext: false, ...eidetic(1) }, { 3: 'u2', 8: 'u2' }],
    [
      'the best tokens so far, itself included',
      { inContext: false, ...eidetic(2, { refresh: 'token' }) },
      { 0: 'u0', 1: 'u0 u1', 2: 'u0 u2', 4: 'u2 u4', 8: 'u2 u4' },
    ],
    [
      'outputs at the positions held',
      { inContext: false, ...eidetic(2, { payload: 'output' }) },
      { 5: 'y0 y2', 7: 'y2 y4' },
    ],
    [
      'what came before the held, as often as it came',
      { inContext: false, ...eidetic(2, { span: 2 }) },
      { 5: 'u0 u0 u1 u2', 7: 'u0 u1 u2 u2 u3 u4' },
    ],
    [
      'nothing twice in its window',
      eidetic(2, { span: 2, dedupe: true }),
      { 3: 'u1 u2 u3 u0 u0', 6: 'u4 u5 u6 u0 u1 u2 u2 u3' },
    ],
    [
      'all kinds together',
      { ...fading('tail', 1), ...eidetic(2, { payload: 'output', span: 1 }) },
      { 2: 'u0 u1 u2', 4: 'u2 u3 u4 y2 y0 y1 y2', 8: 'u6 u7 u8 y5 y1 y2 y3 y4' },
    ],
  ];

  it.each(cases)('%s', (_, rest, expected) => {
    const config = { ...base, heads: 1, kvHeads: 1, headWidth: width, ...rest };
    const { out } = bmojoAttention(config, params, u, y, scores);
    for (const [t, names] of Object.entries(expected)) {
      const seen = names.split(' ');
      const mean = nd([width]);
      for (const name of seen) {
        mean.data[Number(name.slice(1)) + (name.startsWith('y') ? tokens : 0)]! += 1 / seen.length;
      }
      expect(at(out, Number(t)), t).toBeCloseRms(mean, 1e-14, 0);
    }
  });

  it('nothing, and reads zeros, where there is nothing', () => {
    const config = { ...base, heads: 1, kvHeads: 1, headWidth: width, inContext: false };
    const nothing = bmojoAttention(config, params, u, y, scores).out;
    expect([...nothing.data].every((value) => value === 0)).toBe(true);
    expect(bmojoAttention({ ...config, skip: true }, params, u, y, scores).out).toEqual(y);
    const closed = { ...config, ...eidetic(2, { refresh: 'token' }) };
    const never = scores.map(() => -Infinity);
    expect(bmojoAttention(closed, params, u, y, never)).toEqual({
      out: nothing,
      memory: scores.map(() => []),
    });
  });
});

describe('the eidetic memory', () => {
  it.each([1, 2, 5, 40])('of %s slots is what admission token by token leaves, ties included', (slots) => {
    const tokens = 23;
    const { params, u, y, scores } = draw(base, tokens, slots);
    const run = (refresh: 'chunk' | 'token') =>
      bmojoAttention({ ...base, ...eidetic(slots, { refresh }) }, params, u, y, scores).memory;
    const after = (end: number) => admitted(slots, scores, end);
    expect(run('token')).toEqual(scores.map((_, t) => after(t + 1)));
    expect(run('chunk')).toEqual([0, 3, 6, 9, 12, 15, 18, 21].map(after));
  });
});

// [Fading tokens, eidetic tokens, window] of one chunk after another is a sequence over which the whole is an
// ordinary sliding window attention; what it computes for fading and eidetic tokens is thrown away.
describe('with tail tokens and slots it is a sliding window over the interleaved sequence', () => {
  function interleaved(config: BmojoOracleConfig, problem: ReturnType<typeof draw>): NdArray {
    const { params, u, y, scores } = problem;
    const { window, fadingTokens, eidetic } = config;
    const tokens = u.shape[0]!;
    const normed = fadingTokens.norm ? rmsNorm(y, params['y_norm.weight'], 1e-6) : y;
    const input = projected(config, params, u, u);
    const output = projected(config, params, u, normed, config.tied ? '' : 'fading_');

    const places: ({ key: [Projected, number]; isQuery: boolean } | undefined)[] = [];
    for (let start = 0; start < tokens; start += window) {
      for (let s = start - fadingTokens.count; s < start; s++) {
        places.push(s < 0 ? undefined : { key: [output, s], isQuery: false });
      }
      const held = admitted(eidetic.slots, scores, start);
      for (let slot = 0; slot < eidetic.slots; slot++) {
        places.push(slot < held.length ? { key: [input, held[slot]!], isQuery: false } : undefined);
      }
      for (let s = start; s < Math.min(tokens, start + window); s++) {
        places.push({ key: [input, s], isQuery: true });
      }
    }
    const reach = window + fadingTokens.count + eidetic.slots;
    const outputs = places.flatMap((place, i) => {
      if (!place?.isQuery) return [];
      const keys = places
        .slice(Math.max(0, i - reach + 1), i + 1)
        .flatMap((seen) => (seen ? [seen.key] : []));
      return [linear(read(config, place.key[1], keys), params['o_proj.weight']!)];
    });
    return reshape(concat(outputs), u.shape);
  }

  it.each(Array.from({ length: 16 }, (_, seed) => seed))('of random sizes, %s', (seed) => {
    const random = seededRandom(seed);
    const kvHeads = 1 + random.integer(2);
    const config: BmojoOracleConfig = {
      ...base,
      heads: kvHeads * (1 + random.integer(3)),
      kvHeads,
      headWidth: 1 + random.integer(5),
      window: 1 + random.integer(7),
      ...fading('tail', random.integer(6), seed % 2 === 0),
      ...eidetic(random.integer(6)),
      qkNorm: seed % 3 === 0,
      tied: seed % 4 < 2,
    };
    const problem = draw(config, 1 + random.integer(29), seed + 100);
    const { out } = bmojoAttention(config, problem.params, problem.u, problem.y, problem.scores);
    expect(out).toBeCloseRms(interleaved(config, problem), 1e-12, 0);
  });
});

describe('it is attention over the sequence itself, positions included,', () => {
  const rope = { ...base, qkNorm: true, ropeBase: 100 };
  // The recurrence's output is the input, so that a fading token is as good as a token of the window.
  const cases: readonly [string, Partial<BmojoOracleConfig>, number][] = [
    ['where the window holds the sequence', { window: 11 }, Infinity],
    ['where the window is longer than the sequence', { window: 64 }, Infinity],
    ['of a sliding window, alone', { window: 4 }, 4],
    ['of twice the window, with the outputs behind it', { window: 4, ...fading('offsetWindow') }, 8],
    [
      'where chunks are single tokens and all outputs before are seen',
      { window: 1, ...fading('tail', 11) },
      Infinity,
    ],
    ['where each of them ends a chunk', { window: 1, ...fading('chunkEnds', 11) }, Infinity],
    [
      'where all tokens are held at once',
      { window: 5, inContext: false, ...eidetic(11, { refresh: 'token' }) },
      Infinity,
    ],
    [
      'where all outputs are held at once',
      { window: 5, inContext: false, ...eidetic(11, { refresh: 'token', payload: 'output' }) },
      Infinity,
    ],
    ['where what the window lacks is held', { window: 5, ...eidetic(11, { dedupe: true }) }, Infinity],
  ];

  it.each(cases)('%s', (_, rest, window) => {
    const config = { ...rope, ...rest };
    const { params, u, scores } = draw(config, 11, 7);
    const { out } = bmojoAttention(config, params, u, u, scores);
    expect(out).toBeCloseRms(slidingWindow(config, params, u, window), 1e-12, 0);
  });

  it('but takes held tokens for no further away than two windows', () => {
    const config = { ...rope, ...eidetic(1) };
    const { params, u: drawn, y } = draw(config, 15, 3);
    // One token unlike the others: afterwards a query can tell its position by nothing but its distance.
    const u = concat([rows(drawn, 0, 1), ...Array.from({ length: 14 }, () => rows(drawn, 1, 2))]);
    const scores = [1, ...Array.from({ length: 14 }, () => 0)];
    const { out } = bmojoAttention(config, params, u, y, scores);
    for (let t = 7; t < 15; t++) expect(at(out, t)).toBeCloseRms(at(out, 6), 1e-12, 0);
    for (let t = 3; t < 6; t++) expect(at(out, t)).not.toBeCloseRms(at(out, 6), 1e-2, 0);
  });
});

describe('what is made of the recurrence’s output', () => {
  const config: BmojoOracleConfig = {
    ...base,
    ...fading('chunkEnds', 2, true),
    ...eidetic(2, { payload: 'output' }),
    qkNorm: true,
    ropeBase: 100,
  };
  const { params, u, y, scores } = draw(config, 10, 5);

  it('is made with its own weights if untied, held or fading', () => {
    const own = Object.entries(params).filter(([name]) => name.startsWith('fading_'));
    const swapped = { ...params, ...Object.fromEntries(own.map(([name, a]) => [name.slice(7), a])) };
    const part = { ...config, inContext: false };
    const untied = bmojoAttention({ ...part, tied: false }, params, u, y, scores);
    expect(untied.out).toBeCloseRms(bmojoAttention(part, swapped, u, y, scores).out, 1e-12, 0);
    expect(untied.out).not.toBeCloseRms(bmojoAttention(part, params, u, y, scores).out, 1e-2, 0);
  });

  it('is normalised first if asked, and added to the output as it is', () => {
    const normed = rmsNorm(y, params['y_norm.weight'], 1e-6);
    const plain = { ...config, ...fading('chunkEnds', 2) };
    const { out } = bmojoAttention(config, params, u, y, scores);
    expect(out).toBeCloseRms(bmojoAttention(plain, params, u, normed, scores).out, 1e-12, 0);
    const skipped = bmojoAttention({ ...config, skip: true }, params, u, y, scores).out;
    expect(skipped).toBeCloseRms(
      zipWith(out, y, (a, b) => a + b),
      1e-12,
      0,
    );
  });

  it('is the output itself if nothing else is seen and nothing projected', () => {
    const identity = nd(
      [5, 5],
      Array.from({ length: 25 }, (_, i) => (i % 6 ? 0 : 1)),
    );
    const alone = { ...base, heads: 1, kvHeads: 1, headWidth: 5, inContext: false, ...fading('current') };
    const random = draw(alone, 10, 6);
    const straight = { ...random.params, 'v_proj.weight': identity, 'o_proj.weight': identity };
    expect(bmojoAttention(alone, straight, u, y, scores).out).toEqual(y);
  });
});

it('looks at nothing that comes later', () => {
  for (const refresh of ['chunk', 'token'] as const) {
    const config = {
      ...base,
      ...fading('tail', 2),
      ...eidetic(3, { refresh, span: 1 }),
      ropeBase: 100,
    };
    const { params, u, y, scores } = draw(config, 14, 8);
    const other = draw(config, 14, 9);
    const whole = bmojoAttention(config, params, u, y, scores);
    for (const cut of [1, 5, 6, 13]) {
      const changed = bmojoAttention(
        config,
        params,
        concat([rows(u, 0, cut), rows(other.u, cut, 14)]),
        concat([rows(y, 0, cut), rows(other.y, cut, 14)]),
        [...scores.slice(0, cut), ...other.scores.slice(cut)],
      );
      expect(rows(changed.out, 0, cut)).toEqual(rows(whole.out, 0, cut));
      const settled = refresh === 'token' ? cut : Math.floor(cut / config.window) + 1;
      expect(changed.memory.slice(0, settled)).toEqual(whole.memory.slice(0, settled));
    }
  }
});

describe('central differences of the attention', () => {
  const config = {
    ...base,
    heads: 2,
    kvHeads: 1,
    headWidth: 2,
    ...fading('tail', 2),
    ...eidetic(2),
    tied: false,
  };
  const { params, u, y } = draw(config, 8, 4);
  const scores = [4, 0, 5, 9, 1, 2, 3, 7];
  const weights = Object.fromEntries(
    Object.entries(params).filter(([name]) => name.endsWith('_proj.weight')),
  );
  const differentiate = (dOut: NdArray) => {
    const value = (inputs: Params) =>
      dot(bmojoAttention(config, inputs, inputs['u']!, inputs['y']!, scores).out, dOut);
    const inputs: Params = { ...weights, u, y };
    return { loss: value(inputs), gradients: centralDifferences(value, inputs), inputs };
  };

  it('agree with Euler’s theorem: values and output are of degree 1, logits of degree 1 in q and in k', () => {
    const { loss, gradients, inputs } = differentiate(seededRandom(1).normals([8, 5]));
    const along = (name: string) => dot(gradients[name]!, inputs[name]!);
    const [q, k, v, o] = ['q', 'k', 'v', 'o'].map((name) => along(`${name}_proj.weight`)) as number[];
    const [fq, fk, fv] = ['q', 'k', 'v'].map((name) => along(`fading_${name}_proj.weight`)) as number[];
    expect(o!).toBeCloseRms(loss, 1e-8, 0);
    expect(v! + fv!).toBeCloseRms(loss, 1e-8, 0);
    expect(q!).toBeCloseRms(k!, 1e-8, 0);
    expect(fq!).toBeCloseRms(fk!, 1e-8, 0);
    expect(along('y')).toBeCloseRms(fk! + fv!, 1e-8, 0);
    expect(along('u')).toBeCloseRms(q! + fq! + k! + v!, 1e-8, 0);
  });

  it('are exactly 0 for what the query does not see, and not for what it does', () => {
    const last = nd([8, 5]);
    at(last, 7).data.fill(1);
    const { gradients } = differentiate(last);
    const reached = (name: string) =>
      Array.from({ length: 8 }, (_, s) => s).filter((s) => at(gradients[name]!, s).data.some(Boolean));
    expect(reached('u')).toEqual([2, 3, 5, 6, 7]);
    expect(reached('y')).toEqual([4, 5]);
  });
});
