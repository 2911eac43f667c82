/**
 * B'MOJO's memory attention in float64, one sequence and one query at a time: list what the query sees, take
 * one softmax over the list. No chunks, masks or merged paths, so nothing in common with how the product
 * computes it. The recurrence is not part of it: its output is given. arXiv 2407.06324, Algorithm 1 and
 * App. B.2. With it, the golden data of this attention.
 */
import { readFileSync } from 'node:fs';
import { at, dot, fromNested, linear, nd, reshape, zipWith, type NdArray, type Nested } from './array.ts';
import { rmsNorm, rotary, softmax } from './blocks.ts';
import { parameter, type Parameters } from './cells.ts';
import { fixturePath } from './fixtures.ts';

/** How the prediction error of a vector becomes one number. */
export type BmojoError = 'l2' | 'l1' | 'relL2';

/** Sizes and options of {@link bmojoAttention}. Below, t is the query's position and w the window. */
export interface BmojoOracleConfig {
  readonly heads: number;
  /** Divides `heads`. */
  readonly kvHeads: number;
  readonly headWidth: number;
  /** w: tokens that a query sees, itself included; also the length of a chunk. */
  readonly window: number;
  /** False: the window is not seen. */
  readonly inContext: boolean;
  /**
   * Which outputs of the recurrence are seen: `tail` the last `count` before the query's chunk, `chunkEnds` the
   * last of each of the `count` chunks before it, `offsetWindow` those at t−2w+1 … t−w, `current` the query's
   * own. `norm`: RMSNorm with `y_norm.weight` before keys and values are made of y.
   */
  readonly fadingTokens: {
    readonly source: 'none' | 'tail' | 'chunkEnds' | 'offsetWindow' | 'current';
    readonly count: number;
    readonly norm: boolean;
  };
  /**
   * The `slots` tokens of highest score, the older first among equals, of those before the query's chunk
   * (`chunk`) or up to the query (`token`). Each brings the `span` tokens before it along. Keys and values are
   * made of u (`input`) or of y as for fading tokens (`output`). `dedupe` hides what lies within the window.
   */
  readonly eidetic: {
    readonly slots: number;
    readonly refresh: 'chunk' | 'token';
    readonly payload: 'input' | 'output';
    readonly span: number;
    readonly dedupe: boolean;
  };
  /** RMSNorm of every head's queries and keys, before the rotation. */
  readonly qkNorm: boolean;
  /** 0: no positions. */
  readonly ropeBase: number;
  /** False: what is made of y, and the queries that meet it, have weights of their own, named `fading_…`. */
  readonly tied: boolean;
  /** Adds y to the output. */
  readonly skip: boolean;
  /** ε of all norms. */
  readonly normEps: number;
}

/** Outcome for one sequence. */
export interface BmojoResult {
  /** [T, d]. */
  readonly out: NdArray;
  /** Positions held, ascending, for each chunk (`refresh: 'chunk'`) or each token (`'token'`). */
  readonly memory: number[][];
}

type Source = 'input' | 'output';

/** A key and a value that a query sees: of which token, made of u or y, the key rotated to `position`. */
interface Seen {
  readonly token: number;
  readonly of: Source;
  readonly position: number;
}

/**
 * One sequence. u [T, d] is the layer's input, y [T, d] the recurrence's output, `scores` [T] what each token is
 * worth to the eidetic memory (−∞: never admitted). `params`: `q_proj.weight` [H·D, d], `k_proj.weight` and
 * `v_proj.weight` [Hkv·D, d], `o_proj.weight` [d, H·D], `q_norm.weight` and `k_norm.weight` [D], `y_norm.weight`
 * [d], and of the untied `fading_q_proj.weight`, …, `fading_k_norm.weight`; only those that `config` asks for.
 * A query that sees nothing reads zeros.
 */
export function bmojoAttention(
  config: BmojoOracleConfig,
  params: Parameters,
  u: NdArray,
  y: NdArray,
  scores: ArrayLike<number>,
): BmojoResult {
  const { heads, kvHeads, headWidth, window, fadingTokens, eidetic, ropeBase, normEps } = config;
  const tokens = u.shape[0]!;
  if (y.shape.join() !== u.shape.join() || scores.length !== tokens) {
    throw new RangeError(`bmojoAttention: u [${u.shape}], y [${y.shape}], ${scores.length} scores`);
  }
  const memory =
    eidetic.refresh === 'chunk'
      ? range(0, Math.ceil(tokens / window) - 1).map((c) => highest(eidetic.slots, scores, c * window))
      : range(0, tokens - 1).map((t) => highest(eidetic.slots, scores, t + 1));

  const project = (source: NdArray, prefix: string) => {
    const perHead = (x: NdArray, name: 'q' | 'k' | 'v', count: number): NdArray => {
      const flat = linear(x, parameter(params, `${prefix}${name}_proj.weight`));
      const split = reshape(flat, [tokens, count, headWidth]);
      if (!config.qkNorm || name === 'v') return split;
      return rmsNorm(split, parameter(params, `${prefix}${name}_norm.weight`), normEps);
    };
    return { q: perHead(u, 'q', heads), k: perHead(source, 'k', kvHeads), v: perHead(source, 'v', kvHeads) };
  };
  const input = project(u, '');
  const seesOutput = fadingTokens.source !== 'none' || (eidetic.slots > 0 && eidetic.payload === 'output');
  const normed =
    seesOutput && fadingTokens.norm ? rmsNorm(y, parameter(params, 'y_norm.weight'), normEps) : y;
  const output = seesOutput ? project(normed, config.tied ? '' : 'fading_') : input;
  const made = { input, output };

  /** x [H, D], rotated to its position. */
  const rotated = (x: NdArray, position: number): NdArray =>
    ropeBase === 0 ? x : at(rotary(reshape(x, [1, ...x.shape]), position, ropeBase), 0);

  const o = nd([tokens, heads * headWidth]);
  for (let t = 0; t < tokens; t++) {
    const held = memory[eidetic.refresh === 'chunk' ? Math.floor(t / window) : t]!;
    const seen = whatIsSeen(config, t, held);
    if (seen.length === 0) continue;
    const queries = { input: rotated(at(input.q, t), t), output: rotated(at(output.q, t), t) };
    const keys = seen.map(({ token, of, position }) => rotated(at(made[of].k, token), position));
    const values = seen.map(({ token, of }) => at(made[of].v, token));
    for (let h = 0; h < heads; h++) {
      const group = Math.floor(h / (heads / kvHeads));
      const logits = seen.map(
        ({ of }, i) => dot(at(queries[of], h), at(keys[i]!, group)) / Math.sqrt(headWidth),
      );
      const weights = softmax(nd([seen.length], logits)).data;
      const read = at(reshape(at(o, t), [heads, headWidth]), h).data;
      weights.forEach((weight, i) =>
        at(values[i]!, group).data.forEach((value, c) => (read[c]! += weight * value)),
      );
    }
  }
  const projected = linear(o, parameter(params, 'o_proj.weight'));
  return { out: config.skip ? zipWith(projected, y, (a, b) => a + b) : projected, memory };
}

/**
 * How far each vector of y [T, d] lies from the weighted average of those before it: taps[i−1] weighs y_{t−i},
 * the taps that reach before the sequence are left out and the others divided by their sum; the first vector is
 * held against 0. `l2` ‖y−ŷ‖², `l1` Σ|y−ŷ|, `relL2` ‖y−ŷ‖² / (‖y‖² + ‖ŷ‖² + 1e-6). → [T]
 */
export function bmojoInnovation(y: NdArray, taps: readonly number[], error: BmojoError): Float64Array {
  const squares = (x: Float64Array): number => x.reduce((sum, value) => sum + value * value, 0);
  return Float64Array.from({ length: y.shape[0]! }, (_, t) => {
    const found = at(y, t).data;
    const predicted = new Float64Array(found.length);
    const reaching = taps.slice(0, t);
    const total = reaching.reduce((sum, tap) => sum + tap, 0);
    reaching.forEach((tap, i) =>
      at(y, t - 1 - i).data.forEach((value, c) => (predicted[c]! += (tap / total) * value)),
    );
    const residual = found.map((value, c) => value - predicted[c]!);
    if (error === 'l1') return residual.reduce((sum, value) => sum + Math.abs(value), 0);
    if (error === 'l2') return squares(residual);
    return squares(residual) / (squares(found) + squares(predicted) + 1e-6);
  });
}

/** What the query at t sees, with the given positions held. A token listed twice counts twice. */
function whatIsSeen(config: BmojoOracleConfig, t: number, held: readonly number[]): Seen[] {
  const { window, inContext, eidetic } = config;
  const asItIs = (of: Source) => (token: number) => ({ token, of, position: token });
  const remembered = held
    .flatMap((s) => range(s - eidetic.span, s))
    .filter((s) => !eidetic.dedupe || s <= t - window);
  return [
    ...(inContext ? range(t - window + 1, t).map(asItIs('input')) : []),
    ...fadingPositions(config, t).map(asItIs('output')),
    // Held tokens may lie further back than any distance seen in training: those keys stay 2w behind the query.
    ...remembered.map((token) => ({ token, of: eidetic.payload, position: Math.max(token, t - 2 * window) })),
  ];
}

function fadingPositions({ window, fadingTokens }: BmojoOracleConfig, t: number): number[] {
  const { source, count } = fadingTokens;
  const chunkStart = Math.floor(t / window) * window;
  if (source === 'none') return [];
  if (source === 'current') return [t];
  if (source === 'offsetWindow') return range(t - 2 * window + 1, t - window);
  if (source === 'tail') return range(chunkStart - count, chunkStart - 1);
  return range(1, count)
    .map((back) => chunkStart - 1 - (back - 1) * window)
    .filter((s) => s >= 0);
}

/** The positions below `end` with the highest scores, the older among equals; ascending. */
function highest(slots: number, scores: ArrayLike<number>, end: number): number[] {
  return range(0, end - 1)
    .filter((s) => scores[s]! > -Infinity)
    .sort((a, b) => scores[b]! - scores[a]! || a - b)
    .slice(0, slots)
    .sort((a, b) => a - b);
}

/** The positions first … last, without those before the sequence. */
function range(first: number, last: number): number[] {
  const start = Math.max(0, first);
  return Array.from({ length: Math.max(0, last - start + 1) }, (_, i) => start + i);
}

/** One configuration of `bmojo-float64.json`. */
export interface BmojoFixture {
  readonly config: BmojoOracleConfig;
  readonly taps: readonly number[];
  readonly error: BmojoError;
  readonly params: Parameters;
  /** [T, d], like y and out. */
  readonly u: NdArray;
  readonly y: NdArray;
  /** [T]: the scores by which tokens are held. */
  readonly innovation: readonly number[];
  /** Positions held, for each chunk. */
  readonly memory: readonly (readonly number[])[];
  readonly out: NdArray;
}

/** The configurations of `bmojo-float64.json`. */
export const bmojoFixtureNames = [
  'full',
  'fadingOnly',
  'eideticOnly',
  'slidingWindow',
  'causalAttention',
  'chunkEnds',
  'offsetWindow',
  'relL2',
  'l1LongTaps',
] as const;

interface BmojoEntry {
  readonly config: {
    readonly heads: number;
    readonly kvHeads: number;
    readonly headDim: number;
    readonly window: number;
    readonly fading: BmojoOracleConfig['fadingTokens']['source'];
    readonly fadingCount: number;
    readonly fadingNorm: boolean;
    readonly eidetic: number;
    readonly taps: readonly number[];
    readonly error: BmojoError;
    readonly qkNorm: boolean;
  };
  readonly params: Readonly<Record<string, Nested>>;
  readonly u: Nested;
  readonly y: Nested;
  readonly innovation: readonly number[];
  readonly memory: readonly (readonly number[])[];
  readonly out: Nested;
}

/** Reads one configuration of `bmojo-float64.json`: NumPy, float64, every number rounded to nine decimals. */
export function readBmojoFixture(name: (typeof bmojoFixtureNames)[number]): BmojoFixture {
  const file = JSON.parse(readFileSync(fixturePath('bmojo-float64.json'), 'utf8')) as Record<
    string,
    BmojoEntry
  >;
  const { config, params, u, y, innovation, memory, out } = file[name]!;
  return {
    config: {
      heads: config.heads,
      kvHeads: config.kvHeads,
      headWidth: config.headDim,
      window: config.window,
      inContext: true,
      fadingTokens: { source: config.fading, count: config.fadingCount, norm: config.fadingNorm },
      eidetic: { slots: config.eidetic, refresh: 'chunk', payload: 'input', span: 0, dedupe: false },
      qkNorm: config.qkNorm,
      ropeBase: 0,
      tied: true,
      skip: false,
      normEps: 1e-6,
    },
    taps: config.taps,
    error: config.error,
    params: Object.fromEntries(
      Object.entries(params).map(([key, nested]) => [
        key.endsWith('_norm') ? `${key}.weight` : `${key}_proj.weight`,
        fromNested(nested),
      ]),
    ),
    u: fromNested(u),
    y: fromNested(y),
    innovation,
    memory,
    out: fromNested(out),
  };
}
