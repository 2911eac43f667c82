// Parameters of the short causal convolutions that precede most memories.
import type { Rng, Tensor3D } from '@mnemix/tensor';

export interface ConvolutionParams {
  /** [channels, 1, taps]; the last tap meets the current token. */
  readonly weight: Tensor3D;
  readonly [name: string]: Tensor3D;
}

/** PyTorch's default for a depthwise convolution: uniform in ±1/√taps. */
export const initConvolution = (rng: Rng, channels: number, taps: number): ConvolutionParams => ({
  weight: rng.uniform([channels, 1, taps], -1 / Math.sqrt(taps), 1 / Math.sqrt(taps)) as Tensor3D,
});
