// GroupNorm with one group for each head (Wu & He 2018), as RWKV has it behind its memories.
import { layerNorm } from '@mnemix/kernels';
import { fill, reshape, zeros, type Tensor1D, type Tensor2D, type Tensor3D } from '@mnemix/tensor';

export interface GroupNormParams {
  /** [H·D] */
  readonly weight: Tensor1D;
  /** [H·D] */
  readonly bias: Tensor1D;
  readonly [name: string]: Tensor1D;
}

export const initGroupNorm = (channels: number, weight: number): GroupNormParams => ({
  weight: fill([channels], weight),
  bias: zeros([channels]),
});

/** w ⊙ (x − mean)·(var + ε)^{−1/2} + b with mean and variance of each head: x [N,H,D] → [N,H,D]. */
export function groupNorm(x: Tensor3D, { weight, bias }: GroupNormParams, eps: number): Tensor3D {
  const [, heads, width] = x.shape;
  const byHead = (affine: Tensor1D): Tensor2D => reshape(affine, [heads, width]);
  return layerNorm({ x, weight: byHead(weight), bias: byHead(bias) }, { eps }) as Tensor3D;
}
