// Options of RWKV-7, with the sizes and ranks that follow from the others.
import { checkConfig, checkCount } from '@mnemix/tensor';
import { checkLayer } from './layer-position.ts';
import { complete, ratioSize } from './options.ts';

export interface Rwkv7Config {
  /** Model width d. */
  readonly width: number;
  /** Default d over `headWidth`. */
  readonly heads?: number;
  /** Key width dk of a head. Default 64, or d over `heads` where those are given. */
  readonly headWidth?: number;
  /** Value width of a head over its key width. Default 1. */
  readonly expandV?: number;
  /** Rank of the decay w. Default 2.5·√d·dk/64, rounded to a multiple of 32 from 32 on. */
  readonly decayRank?: number;
  /** Rank of the in-context learning rate α. Default as for the decay. */
  readonly learningRateRank?: number;
  /** Rank of the pull towards the first layer's values. Default 1.7·√d·dk/64, rounded likewise. */
  readonly valueRank?: number;
  /** Rank of the gate. Default 5·√d, rounded likewise. */
  readonly gateRank?: number;
  /**
   * Taps of short convolutions with silu over r, k and v. Default 0: none, as in fla; the token shift looks
   * back already.
   */
  readonly convolution?: number;
  /** ε of the GroupNorm over dk. Default 1e-5. */
  readonly normEps?: number;
  /** Layer that the cell is for, counted from 0: the first hands its values on to the others. Default 0. */
  readonly layer?: number;
  /** Layers of the model. Default 1. */
  readonly layers?: number;
}

/**
 * The options with defaults in place of what is absent, and the value width of a head.
 *
 * @throws MnemixError `config` where an option is unknown, or sizes do not fit
 */
export function completeRwkv7(options: Rwkv7Config) {
  const given = complete('rwkv7', options, ['width'], {
    heads: undefined,
    headWidth: undefined,
    expandV: 1,
    decayRank: undefined,
    learningRateRank: undefined,
    valueRank: undefined,
    gateRank: undefined,
    convolution: 0,
    normEps: 1e-5,
    layer: 0,
    layers: 1,
  });
  checkLayer('rwkv7', given);
  const sizes = headsOf(given);
  const root = Math.sqrt(given.width);
  const perHead = sizes.headWidth / 64;
  const ranks = {
    decayRank: given.decayRank ?? rankOf(2.5 * root * perHead),
    learningRateRank: given.learningRateRank ?? rankOf(2.5 * root * perHead),
    valueRank: given.valueRank ?? rankOf(1.7 * root * perHead),
    gateRank: given.gateRank ?? rankOf(5 * root),
  };
  for (const [option, rank] of Object.entries(ranks)) checkCount(`rwkv7(${option})`, rank);
  return {
    ...given,
    ...sizes,
    ...ranks,
    valueWidth: ratioSize('rwkv7(expandV)', sizes.headWidth, given.expandV),
  };
}

function headsOf({ width, heads, headWidth }: Pick<Rwkv7Config, 'width' | 'heads' | 'headWidth'>): {
  heads: number;
  headWidth: number;
} {
  if (heads !== undefined) checkCount('rwkv7(heads)', heads);
  if (headWidth !== undefined) checkCount('rwkv7(headWidth)', headWidth);
  if (heads !== undefined && headWidth !== undefined) return { heads, headWidth };
  const parts = heads ?? headWidth ?? 64;
  checkConfig(
    width % parts === 0,
    heads === undefined ? 'rwkv7(headWidth)' : 'rwkv7(heads)',
    heads === undefined
      ? `the width ${width} is no multiple of ${parts}, the width of a head.`
      : `${parts} heads do not divide the width ${width}.`,
    'Choose one that divides it, or give both heads and headWidth.',
  );
  return heads === undefined
    ? { heads: width / parts, headWidth: parts }
    : { heads, headWidth: width / parts };
}

/**
 * A multiple of 32 near this. Halves go to the even multiple, as in fla: 2.5·32, which is d = 1024, to 64.
 */
function rankOf(wanted: number): number {
  const steps = wanted / 32;
  const below = Math.floor(steps);
  const isHalf = steps - below === 0.5;
  return 32 * Math.max(1, isHalf ? below + (below % 2) : Math.round(steps));
}
