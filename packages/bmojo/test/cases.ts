// Configurations of the layer, each with the oracle's.
import type { BmojoOracleConfig } from '@mnemix/testkit';
import type { BmojoConfig } from '../src/index.ts';

export const width = 12;
export const window = 4;

const oracleBase: BmojoOracleConfig = {
  heads: 4,
  kvHeads: 2,
  headWidth: 4,
  window,
  inContext: true,
  fadingTokens: { source: 'none', count: 1, norm: false },
  eidetic: { slots: 0, refresh: 'chunk', payload: 'input', span: 0, dedupe: false },
  qkNorm: true,
  ropeBase: 0,
  tied: true,
  skip: false,
  normEps: 1e-5,
};

/** Given ranks, so that the oracle and the layer choose among the same: token p is worth (p·7 mod 11) + p/100. */
export const rankOf = (position: number): number => ((position * 7) % 11) + position / 100;

type Options = Omit<BmojoConfig, 'width' | 'heads' | 'window' | 'fading' | 'eidetic'> & {
  readonly window?: number;
  readonly eidetic?: Omit<NonNullable<BmojoConfig['eidetic']>, 'policy'>;
};

/** The layer's options and the oracle's from one description. */
function both(options: Options): { options: Options; oracle: BmojoOracleConfig } {
  const { fadingTokens, eidetic, ...rest } = options;
  return {
    options,
    oracle: {
      ...oracleBase,
      ...rest,
      fadingTokens: { source: 'tail', count: 1, norm: true, ...fadingTokens },
      eidetic: { ...oracleBase.eidetic, ...eidetic },
    } as BmojoOracleConfig,
  };
}

export const cases: Readonly<Record<string, { options: Options; oracle: BmojoOracleConfig }>> = {
  'the paper’s: tail, slots': both({ eidetic: { slots: 3 } }),
  'fading only': both({ fadingTokens: { source: 'tail', count: 3 } }),
  'fading tokens as many as the window': both({ fadingTokens: { source: 'tail', count: 4, norm: false } }),
  'chunk ends': both({ fadingTokens: { source: 'chunkEnds', count: 3 }, eidetic: { slots: 2 } }),
  'offset window': both({ fadingTokens: { source: 'offsetWindow' }, eidetic: { slots: 2 } }),
  'its own output': both({ fadingTokens: { source: 'current' } }),
  'the recurrence alone': both({ fadingTokens: { source: 'current', norm: false }, inContext: false }),
  'memories without a window': both({ inContext: false, eidetic: { slots: 3 } }),
  'outputs in the slots': both({ eidetic: { slots: 3, payload: 'output' } }),
  spans: both({ eidetic: { slots: 2, span: 2 } }),
  'spans of outputs': both({ eidetic: { slots: 2, span: 1, payload: 'output' } }),
  'no token twice': both({ eidetic: { slots: 3, dedupe: true } }),
  'refreshed with every token': both({ eidetic: { slots: 3, refresh: 'token' } }),
  'refreshed with every token, spans': both({
    eidetic: { slots: 2, refresh: 'token', span: 1 },
    fadingTokens: { source: 'chunkEnds', count: 2 },
  }),
  'rotary positions': both({ ropeBase: 100, eidetic: { slots: 3 } }),
  'rotary positions of outputs': both({
    ropeBase: 100,
    eidetic: { slots: 3, payload: 'output' },
    fadingTokens: { source: 'offsetWindow' },
  }),
  untied: both({ tied: false, eidetic: { slots: 3 } }),
  'untied outputs in the slots, rotary': both({
    tied: false,
    ropeBase: 50,
    eidetic: { slots: 2, payload: 'output' },
  }),
  'with the recurrence added': both({ skip: true, eidetic: { slots: 3 } }),
  'without norms': both({ qkNorm: false, fadingTokens: { norm: false }, eidetic: { slots: 3 } }),
  'a window of one': both({ window: 1, eidetic: { slots: 2 } }),
  'a window longer than all': both({ window: 64, eidetic: { slots: 2 } }),
};
