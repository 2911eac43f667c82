// Sums over the tokens of a chunk.
import { cast, expandDims, greater, greaterEqual, matMul, range, type Tensor } from '@mnemix/tensor';

/** 1 where j < i (or j ≤ i), else 0: [i, j]. */
export function lowerTriangle(size: number, { diagonal = false } = {}): Tensor {
  const row = expandDims(range(0, size), 1);
  const column = expandDims(range(0, size), 0);
  return cast(diagonal ? greaterEqual(row, column) : greater(row, column), 'float32');
}

/**
 * Running sums along the tokens: of all up to each one, or from each one on. As a product with a triangular matrix,
 * because tfjs's cumsum on WebGPU keeps the length of the first tensor that it summed backwards in its compiled shader,
 * and sums later ones of other lengths wrongly.
 *
 * @param x [P, C, d]
 */
export function runningSum(x: Tensor, { exclusive = false, reverse = false } = {}): Tensor {
  const triangle = expandDims(lowerTriangle(x.shape[1] as number, { diagonal: !exclusive }), 0);
  return matMul(triangle, x, reverse, false);
}
