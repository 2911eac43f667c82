// A gated short convolution as a mixer (BaseConv of Arora et al. 2023, "Zoology", §4.1): it shows each token those just before it, which
// is how recall tasks bind a value to the key in front of it below a layer that has no such reach of its own.
//   y = (W x + b) ⊙ (h ∗ x + c)
import { batchSequences, shortConv } from '@mnemix/kernels';
import {
  checkCount,
  checkShapes,
  countElements,
  mul,
  reshape,
  tidy,
  zeros,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
} from '@mnemix/tensor';
import { initConvolution } from './convolution.ts';
import { initNormal, linear, type LinearParams } from './linear.ts';
import { stepByForward, type Mixer } from './mixer.ts';
import { checkState, stateBytes, zeroState } from './state.ts';

export interface GatedConvolutionConfig {
  /** Model width d. */
  readonly width: number;
  /** Tokens that it sees, the current one included. Default 3. */
  readonly taps?: number | undefined;
}

export interface GatedConvolutionParams {
  /** With bias. */
  readonly projection: LinearParams;
  /** Weight [d, 1, taps] and bias [d]. */
  readonly conv1d: { readonly weight: Tensor3D; readonly bias: Tensor1D };
  readonly [name: string]: LinearParams | { readonly weight: Tensor3D; readonly bias: Tensor1D };
}

export interface GatedConvolutionState {
  /** The last inputs, [sequences, d, taps]. */
  readonly window: Tensor3D;
  readonly [name: string]: Tensor3D;
}

type GatedConvolution = Mixer<GatedConvolutionParams, GatedConvolutionState>;

/**
 * The gated convolution mixer.
 *
 * @throws MnemixError `config`
 */
export function gatedConvolution({ width, taps = 3 }: GatedConvolutionConfig): GatedConvolution {
  for (const [name, value] of Object.entries({ width, taps })) {
    checkCount(`gatedConvolution(${name})`, value);
  }
  const stateShape = (sequences: number) => ({ window: [sequences, width, taps] });

  const forward: GatedConvolution['forward'] = (params, x, { state, segments } = {}) => {
    const where = 'gatedConvolution.forward';
    const { B: batch = 0, T: tokens = 0 } = checkShapes(where, { x: [x, ['B', 'T', width]] });
    return tidy(() => {
      const sequences = batchSequences(batch, tokens, segments);
      if (state !== undefined) checkState(where, state, stateShape(sequences.count));
      const rows = reshape(x, [batch * tokens, width]) as Tensor2D;
      const { y, state: window } = shortConv(
        { x: rows, ...params.conv1d, initialState: state?.window },
        { sequences, activation: 'none' },
      );
      const gated = mul(linear(rows, params.projection as LinearParams), y);
      return { y: reshape(gated, x.shape), state: { window }, aux: {} } as never;
    });
  };

  return {
    name: 'convolution',
    config: { width, taps },
    width,
    init: (rng) => ({
      projection: {
        ...initNormal(rng.fold('projection'), width, width),
        bias: zeros([width]) as Tensor1D,
      },
      conv1d: {
        weight: initConvolution(rng.fold('conv1d'), width, taps).weight,
        bias: zeros([width]) as Tensor1D,
      },
    }),
    initialState: (sequences) => zeroState<GatedConvolutionState>(stateShape(sequences)),
    forward,
    step: stepByForward(forward),
    stateBytes: (sequences) => stateBytes(stateShape(sequences)),
    activatedParameters: countElements,
  };
}
