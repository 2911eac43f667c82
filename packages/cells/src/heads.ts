// Rows as heads, and back.
import { expandDims, reshape, tile, type Tensor2D, type Tensor3D } from '@mnemix/tensor';

/** [N, H·D] → [N, H, D]. */
export const toHeads = (x: Tensor2D, heads: number): Tensor3D =>
  reshape(x, [x.shape[0], heads, x.shape[1] / heads]) as Tensor3D;

/** [N, H, D] → [N, H·D]. */
export const fromHeads = (x: Tensor3D): Tensor2D =>
  reshape(x, [x.shape[0], x.shape[1] * x.shape[2]]) as Tensor2D;

/** Each head `times` times in a row, for memories with more value heads than key heads: [N,H,D] → [N,H·times,D]. */
export function repeatHeads(x: Tensor3D, times: number): Tensor3D {
  if (times === 1) return x;
  const [rows, heads, width] = x.shape;
  return reshape(tile(expandDims(x, 2), [1, 1, times, 1]), [rows, heads * times, width]) as Tensor3D;
}
