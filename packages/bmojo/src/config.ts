// The options of a B'MOJO layer: checked, with their defaults.
import type { Mixer } from '@mnemix/layers';
import { checkConfig, checkCount, checkKeys } from '@mnemix/tensor';
import { innovation, memoryPolicy, type MemoryPolicy, type MemoryPolicyConfig } from './policy.ts';

export interface FadingTokensConfig {
  /**
   * Which outputs of the fading memory a query sees.
   * - `tail`: the last `count` before its chunk (the paper's choice)
   * - `chunkEnds`: those at the ends of the last `count` chunks
   * - `offsetWindow`: the w that lie w to 2w − 1 tokens back (the authors' later code)
   * - `current`: the query's own
   * - `none`: it only says what surprises it
   * Default `tail`.
   */
  readonly source?: 'tail' | 'chunkEnds' | 'offsetWindow' | 'current' | 'none';
  /** For `tail` and `chunkEnds`. Default 1. */
  readonly count?: number;
  /** RMSNorm of the outputs before they become keys and values: layer inputs are of unit size, they are not. Default true. */
  readonly norm?: boolean;
}

export interface EideticConfig {
  /** Tokens that are kept, m. */
  readonly slots: number;
  /** What to keep. Default `innovation()`. */
  readonly policy?: MemoryPolicy | MemoryPolicyConfig;
  /**
   * Once a `chunk` (default): all queries of a chunk see what was chosen before it, so that chunks are read at once. With every
   * `token`: the paper's Algorithm 1 to the letter, at the cost of a memory of its own for every query.
   */
  readonly refresh?: 'chunk' | 'token';
  /** What a slot holds of its token: the layer's `input` (default), as the window does, or the fading memory's `output`. */
  readonly payload?: 'input' | 'output';
  /** Tokens before the chosen one that its slot holds too: 1 keeps a value with its key. Default 0. */
  readonly span?: number;
  /** Hides slots whose token the window shows as well. Default false: at most it counts twice. */
  readonly dedupe?: boolean;
  /** Further slots, filled from an archive (`openArchive`), which every query sees. Default 0. */
  readonly recalled?: number;
}

export interface BmojoConfig {
  /** Model width d. */
  readonly width: number;
  readonly heads: number;
  /** Heads of keys and values, a divisor of `heads`. Default `heads`. */
  readonly kvHeads?: number;
  /** Width of a head. Default d / heads. */
  readonly headWidth?: number;
  /** w: a query sees itself and the w − 1 tokens before it; also the length of a chunk. */
  readonly window: number;
  /** Show the window to the queries. Default true; without it the layer reads its memories alone. */
  readonly inContext?: boolean;
  /** The fading memory: any mixer of the same width. Left out, there is none: sliding-window attention with eidetic slots. */
  readonly fading?: Mixer | undefined;
  /** What queries see of the fading memory. */
  readonly fadingTokens?: FadingTokensConfig;
  /** What is kept verbatim. Left out, nothing: B'MOJO-F. */
  readonly eidetic?: EideticConfig | undefined;
  /** RMSNorm of each query and key. Default true. */
  readonly qkNorm?: boolean;
  /** Base of rotary positions; 0 (default, as in the paper) for none. Eidetic keys are never seen further away than 2w. */
  readonly ropeBase?: number;
  /** Outputs of the fading memory use the projections of the layer's inputs. Default true. */
  readonly tied?: boolean;
  /** Adds the fading memory's output to the layer's. Default false. */
  readonly skip?: boolean;
  /** Default 1e-5. */
  readonly normEps?: number;
}

/** Every option given. */
export interface CheckedConfig {
  readonly width: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headWidth: number;
  readonly window: number;
  readonly inContext: boolean;
  readonly fading: Mixer | undefined;
  readonly fadingTokens: Required<FadingTokensConfig> | undefined;
  readonly eidetic: (Required<Omit<EideticConfig, 'policy'>> & { readonly policy: MemoryPolicy }) | undefined;
  readonly qkNorm: boolean;
  readonly ropeBase: number;
  readonly tied: boolean;
  readonly skip: boolean;
  readonly normEps: number;
}

const SOURCES = ['tail', 'chunkEnds', 'offsetWindow', 'current', 'none'];

/** @throws MnemixError `config`, naming the option, for what contradicts itself or is of the wrong kind */
export function checkedConfig(options: BmojoConfig): CheckedConfig {
  checkKeys('bmojo: ', options, [
    'width',
    'heads',
    'kvHeads',
    'headWidth',
    'window',
    'inContext',
    'fading',
    'fadingTokens',
    'eidetic',
    'qkNorm',
    'ropeBase',
    'tied',
    'skip',
    'normEps',
  ]);
  const { width, heads, window, fading, kvHeads = heads, inContext = true, qkNorm = true } = options;
  const { headWidth = width / heads, ropeBase = 0, tied = true, skip = false, normEps = 1e-5 } = options;
  count('width', width);
  count('heads', heads);
  count('kvHeads', kvHeads);
  count('headWidth', headWidth, 'Use heads that divide the width, or set headWidth.');
  count(
    'window',
    window,
    'Use a window of at least one token; 32 is usual for toys, 512 for language models.',
  );
  checkConfig(
    heads % kvHeads === 0,
    'bmojo(kvHeads)',
    `${kvHeads} heads of keys cannot serve ${heads} of queries evenly.`,
    'Make heads a multiple of kvHeads.',
  );
  checkConfig(
    Number.isFinite(ropeBase) && ropeBase >= 0 && (ropeBase === 0 || headWidth % 2 === 0),
    'bmojo(ropeBase)',
    `heads ${headWidth} wide cannot be rotated with base ${ropeBase}.`,
    'Use an even head width and a positive base, or ropeBase: 0 for no positions.',
  );
  checkConfig(Number.isFinite(normEps) && normEps >= 0, 'bmojo(normEps)', `it is ${normEps}.`, 'Use 1e-5.');
  for (const [name, value] of Object.entries({ inContext, qkNorm, tied, skip })) flag(name, value);
  checkConfig(
    fading === undefined || typeof fading.forward === 'function',
    'bmojo(fading)',
    'it is no mixer.',
    'Pass a mixer: asMixer(cell) for a cell, or mom({ cell, … }).',
  );
  checkConfig(
    fading === undefined || fading.width === width,
    'bmojo(fading)',
    `it is ${fading?.width} wide, the layer ${width}.`,
    'Give both the same width.',
  );
  checkConfig(
    fading !== undefined || (options.fadingTokens === undefined && !skip && tied),
    'bmojo(fading)',
    'fadingTokens, skip and tied: false say what to do with a fading memory, but there is none.',
    'Pass a mixer as fading, or leave them out.',
  );
  const fadingTokens = fading && checkedFadingTokens(options.fadingTokens ?? {}, window);
  const eidetic = options.eidetic && checkedEidetic(options.eidetic, options);
  checkConfig(
    inContext || (fadingTokens?.source ?? 'none') !== 'none' || eidetic !== undefined,
    'bmojo(inContext)',
    'without a window, a fading memory and eidetic slots there is nothing to see.',
    'Leave inContext out, or add a memory.',
  );
  return {
    width,
    heads,
    kvHeads,
    headWidth,
    window,
    inContext,
    fading,
    fadingTokens,
    eidetic,
    qkNorm,
    ropeBase,
    tied,
    skip,
    normEps,
  };
}

function checkedFadingTokens(options: FadingTokensConfig, window: number): Required<FadingTokensConfig> {
  checkKeys('bmojo: fadingTokens.', options, ['source', 'count', 'norm']);
  const { source = 'tail', count: tokens = 1, norm = true } = options;
  checkConfig(
    SOURCES.includes(source),
    'bmojo(fadingTokens.source)',
    `there is no "${source}".`,
    `Choose one of ${SOURCES.join(', ')}.`,
  );
  if (source === 'tail' || source === 'chunkEnds') count('fadingTokens.count', tokens);
  flag('fadingTokens.norm', norm);
  checkConfig(
    source !== 'tail' || tokens <= window,
    'bmojo(fadingTokens.count)',
    `the tail of a chunk of ${window} tokens has no ${tokens}.`,
    'Use at most as many as the window has, or source: "chunkEnds", which goes back further.',
  );
  return { source, count: tokens, norm };
}

function checkedEidetic(
  options: EideticConfig,
  { window, fading }: BmojoConfig,
): NonNullable<CheckedConfig['eidetic']> {
  checkKeys('bmojo: eidetic.', options, [
    'slots',
    'policy',
    'refresh',
    'payload',
    'span',
    'dedupe',
    'recalled',
  ]);
  const { slots, refresh = 'chunk', payload = 'input', span = 0, dedupe = false, recalled = 0 } = options;
  const given = options.policy ?? innovation();
  const policy = typeof given === 'object' && 'score' in given ? given : memoryPolicy(given);
  flag('eidetic.dedupe', dedupe);
  count('eidetic.slots', slots, "Use at least one, or leave eidetic out for B'MOJO-F.");
  checkConfig(
    refresh === 'chunk' || refresh === 'token',
    'bmojo(eidetic.refresh)',
    `there is no "${String(refresh)}".`,
    'Choose chunk or token.',
  );
  checkConfig(
    payload === 'input' || (payload === 'output' && fading !== undefined),
    'bmojo(eidetic.payload)',
    payload === 'output'
      ? 'there is no fading memory whose output to keep.'
      : `there is no "${String(payload)}".`,
    'Choose input, or output with a fading memory.',
  );
  checkConfig(
    Number.isSafeInteger(span) && span >= 0 && span < window,
    'bmojo(eidetic.span)',
    `a slot cannot hold ${span} tokens before its own in a window of ${window}.`,
    'Use a whole number from 0 to window − 1.',
  );
  checkCount('bmojo(eidetic.recalled)', recalled, 0);
  checkConfig(
    policy.needs === undefined || fading !== undefined,
    'bmojo(eidetic.policy)',
    `${policy.name} judges a fading memory, but there is none.`,
    'Pass a mixer as fading, or choose recency, random or oracle.',
  );
  checkConfig(
    policy.needs !== 'selfRecall' || fading?.recallsItself === true,
    'bmojo(eidetic.policy)',
    `${fading?.name} cannot say how well it recalls its own tokens.`,
    'Use a cell that can, e.g. linear_attention, gla, delta_net or gated_delta_net, or the policy innovation.',
  );
  return { slots, policy, refresh, payload, span, dedupe, recalled };
}

function flag(name: string, value: boolean): void {
  checkConfig(
    typeof value === 'boolean',
    `bmojo(${name})`,
    `expected true or false, found ${String(value)}.`,
    'Use true or false.',
  );
}

function count(name: string, value: number, fix?: string): void {
  checkCount(`bmojo(${name})`, value, 1, fix);
}
