// The decay of KDA and GDN-2 (Kimi Team 2025, "Kimi Linear"): one gate for each key channel, from a low-rank map
// f = W₂ W₁ x of the token,
//   g = −e^{A_log}·softplus(f + dt_bias) ,  or bounded  g = b·σ(e^{A_log}(f + dt_bias))  with b < 0
import { logDecayGate } from '@mnemix/kernels';
import { initLinear, type LinearParams, type ProjectContext } from '@mnemix/layers';
import {
  add,
  checkConfig,
  exp,
  expandDims,
  mul,
  reshape,
  sigmoid,
  tile,
  zeros,
  type Rng,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
} from '@mnemix/tensor';
import { toHeads } from './heads.ts';
import { checkInitialDecay, initDecay } from './initial-decay.ts';

export interface ChannelDecayOptions {
  /** Bound g from below, g = b·σ(e^{A_log}(f + dt_bias)), instead of leaving it open. Default false. */
  readonly safeGate?: boolean | undefined;
  /** b, with `safeGate` only. Default −5: no token cuts a channel to less than 0.7 % of itself. */
  readonly lowerBound?: number | undefined;
  /**
   * Upper end of the uniform draw of e^{A_log} at the start, the lower one being a 16th of it; smaller values
   * start with longer memories. Not with `safeGate`, where it starts at 1. Default 16, as in fla.
   */
  readonly initialDecay?: number | undefined;
}

export interface ChannelDecayParams {
  /** W₁ [rank, d] and W₂ [H·dk, rank] */
  readonly f_proj: readonly [LinearParams, LinearParams];
  /** [H] */
  readonly A_log: Tensor1D;
  /** [H·dk] */
  readonly dt_bias: Tensor1D;
}

export interface ChannelDecaySizes {
  readonly width: number;
  readonly rank: number;
  readonly heads: number;
  readonly headWidth: number;
}

export interface ChannelDecay {
  /** `f_proj` is a memory's own, the others are common to all memories. */
  init(rng: Rng): ChannelDecayParams;
  /** g [N, H, dk] of the context's rows. */
  apply(params: ChannelDecayParams, context: Pick<ProjectContext, 'linear'>): Tensor3D;
}

/**
 * @param cell the function that received the options, for the error
 * @throws MnemixError `config` for options that contradict each other
 */
export function channelDecay(
  cell: string,
  { safeGate = false, lowerBound, initialDecay }: ChannelDecayOptions,
  { width, rank, heads, headWidth }: ChannelDecaySizes,
): ChannelDecay {
  checkConfig(
    lowerBound === undefined || safeGate,
    `${cell}(lowerBound)`,
    'the gate is not bounded.',
    'Pass safeGate: true too, or leave lowerBound out.',
  );
  checkConfig(
    lowerBound === undefined || lowerBound < 0,
    `${cell}(lowerBound)`,
    `a decay of at least e^${lowerBound} does not forget.`,
    'Use a number below 0; −5 is usual.',
  );
  checkConfig(
    initialDecay === undefined || !safeGate,
    `${cell}(initialDecay)`,
    'a bounded gate starts with A_log = 0.',
    'Leave initialDecay out, or safeGate.',
  );
  const [bound, highest] = [lowerBound ?? -5, initialDecay ?? 16];
  checkInitialDecay(cell, highest);
  const perChannel = (x: Tensor1D): Tensor1D =>
    reshape(tile(expandDims(x, 1), [1, headWidth]), [heads * headWidth]) as Tensor1D;

  return {
    init: (rng) => ({
      ...initDecay(rng, { rates: heads, steps: heads * headWidth, lowest: highest / 16, highest }),
      ...(safeGate ? { A_log: zeros([heads]) as Tensor1D } : {}),
      f_proj: [
        initLinear(rng.fold('f_proj.0'), width, rank),
        initLinear(rng.fold('f_proj.1'), rank, heads * headWidth),
      ],
    }),

    apply: ({ f_proj: [down, up], A_log, dt_bias }, context) => {
      const f = context.linear(up, context.linear(down));
      const aLog = perChannel(A_log);
      const g = safeGate
        ? mul(sigmoid(mul(exp(aLog), add(f, dt_bias))), bound)
        : logDecayGate({ a: f, aLog, dtBias: dt_bias });
      return toHeads(g as Tensor2D, heads);
    },
  };
}
