// The MLPs of RWKV-6 and RWKV-7 blocks ("channel mix"): squared ReLUs of a token mixed with the one before.
//   RWKV-6 (Peng et al. 2024, "Eagle and Finch"): σ(W_r (x + δ ⊙ μ_r)) ⊙ W_v relu²(W_k (x + δ ⊙ μ_k))
//   RWKV-7 (Peng et al. 2025, "RWKV-7 Goose"):    W_v relu²(W_k (x + δ ⊙ x_k))
import { batchSequences } from '@mnemix/kernels';
import {
  checkConfig,
  checkCount,
  checkShapes,
  countElements,
  mul,
  relu,
  reshape,
  sigmoid,
  square,
  tensor1d,
  tidy,
  zeros,
  type ParamTree,
  type Rng,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
} from '@mnemix/tensor';
import { initNormal, linear, type LinearParams } from './linear.ts';
import { stepByForward, type Mixer } from './mixer.ts';
import { initOrthogonal } from './orthogonal.ts';
import { checkState, stateBytes, zeroState } from './state.ts';
import { initialMix, mixShifted, SHIFT_TAPS, tokenShift } from './token-shift.ts';

export interface ChannelMixConfig {
  /** Model width d. */
  readonly width: number;
  readonly hidden: number;
  /** Which layer this is, from 0: later ones start nearer to the token before. Default 0. */
  readonly layer?: number;
  /** Layers of the model. Default 1. */
  readonly layers?: number;
}

export interface ChannelMixState {
  /** The last inputs, [sequences, d, 2]. */
  readonly shift: Tensor3D;
  readonly [name: string]: Tensor3D;
}

/** A linear map behind a token shift; mu [d]. */
export type ShiftedLinearParams = { readonly mu: Tensor1D; readonly linear: LinearParams };

export type Rwkv6ChannelMixParams = {
  readonly key: ShiftedLinearParams;
  readonly receptance: ShiftedLinearParams;
  readonly value: LinearParams;
};

export type Rwkv7ChannelMixParams = {
  /** μ of the key, [d]. */
  readonly x_k: Tensor1D;
  readonly key: LinearParams;
  readonly value: LinearParams;
};

/** W_v relu²(W_k x). */
const squaredRelu = (x: Tensor2D, key: LinearParams, value: LinearParams): Tensor2D =>
  linear(square(relu(linear(x, key))), value);

/**
 * The channel mix of RWKV-6. Mixes start as in the authors' implementation, weights normal.
 *
 * @throws MnemixError `config` where a number is not a count, or the layer is none of the model
 */
export const rwkv6ChannelMix = (options: ChannelMixConfig): Mixer<Rwkv6ChannelMixParams, ChannelMixState> =>
  channelMix('rwkv6_channel_mix', options, {
    init: (rng, { width, hidden, depth }) => ({
      key: {
        mu: tensor1d(initialMix(width, 1 - depth)),
        linear: initNormal(rng.fold('key'), width, hidden),
      },
      receptance: {
        mu: tensor1d(initialMix(width, 1 - depth)),
        linear: initNormal(rng.fold('receptance'), width, width),
      },
      value: initNormal(rng.fold('value'), hidden, width),
    }),
    mix: ({ key, receptance, value }, x, delta) => {
      const allowed = sigmoid(linear(mixShifted(x, delta, receptance.mu), receptance.linear));
      return mul(allowed, squaredRelu(mixShifted(x, delta, key.mu), key.linear, value));
    },
  });

/**
 * The channel mix of RWKV-7, which starts orthogonal and silent.
 *
 * @throws MnemixError `config` where a number is not a count, or the layer is none of the model
 */
export const rwkv7ChannelMix = (options: ChannelMixConfig): Mixer<Rwkv7ChannelMixParams, ChannelMixState> =>
  channelMix('rwkv7_channel_mix', options, {
    init: (rng, { width, hidden, depth }) => ({
      x_k: tensor1d(initialMix(width, (1 - depth) ** 4)),
      key: initOrthogonal(rng.fold('key'), width, hidden),
      value: { weight: zeros([width, hidden]) as Tensor2D },
    }),
    mix: ({ x_k, key, value }, x, delta) => squaredRelu(mixShifted(x, delta, x_k), key, value),
  });

interface Kind<P extends ParamTree> {
  /** @param sizes depth: layer / layers */
  init(rng: Rng, sizes: { width: number; hidden: number; depth: number }): P;
  /** x, delta [N,d] → [N,d]. */
  mix(params: P, x: Tensor2D, delta: Tensor2D): Tensor2D;
}

function channelMix<P extends ParamTree>(
  name: string,
  options: ChannelMixConfig,
  { init, mix }: Kind<P>,
): Mixer<P, ChannelMixState> {
  const config = { layer: 0, layers: 1, ...options };
  const { width, hidden, layer, layers } = config;
  for (const [option, value] of Object.entries({ width, hidden, layers }))
    checkCount(`${name}(${option})`, value);
  checkConfig(
    Number.isSafeInteger(layer) && layer >= 0 && layer < layers,
    `${name}(layer)`,
    `there is no layer ${layer} among ${layers}.`,
    `Use a whole number from 0 to ${layers - 1}.`,
  );
  const stateShape = (sequences: number) => ({ shift: [sequences, width, SHIFT_TAPS] });

  const forward: Mixer<P, ChannelMixState>['forward'] = (params, x, { state, segments } = {}) => {
    const { B: batch = 0, T: tokens = 0 } = checkShapes(`${name}.forward`, { x: [x, ['B', 'T', width]] });
    return tidy(() => {
      const sequences = batchSequences(batch, tokens, segments);
      if (state !== undefined) checkState(`${name}.forward`, state, stateShape(sequences.count));
      const rows = reshape(x, [batch * tokens, width]) as Tensor2D;
      const { delta, window } = tokenShift(rows, sequences, state?.shift);
      const y = reshape(mix(params, rows, delta), x.shape) as Tensor3D;
      return { y, state: { shift: window }, aux: {} } as never;
    });
  };
  return {
    name,
    config,
    width,
    init: (rng) => init(rng, { width, hidden, depth: layer / layers }),
    initialState: (sequences) => zeroState<ChannelMixState>(stateShape(sequences)),
    forward,
    step: stepByForward(forward),
    stateBytes: (sequences) => stateBytes(stateShape(sequences)),
    activatedParameters: countElements,
  };
}
