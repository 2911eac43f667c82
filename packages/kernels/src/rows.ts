// Ops on vectors take tensors of any rank: they see them as rows [N, D].
import { MnemixError, reshape, sizeOf, sum, zeros, type Tensor } from '@mnemix/tensor';

/**
 * x [..., D] as [N, D].
 *
 * @param where the function and argument, for the error
 * @throws MnemixError `shape` for a scalar
 */
export function toRows(where: string, x: Tensor): Tensor {
  if (x.rank === 0) {
    throw new MnemixError({
      code: 'shape',
      where,
      message: 'expected shape [..., D], found a scalar.',
      fix: 'Pass a tensor with at least one axis.',
      detail: { found: [] },
    });
  }
  return reshape(x, [sizeOf(x.shape.slice(0, -1)), x.shape.at(-1) as number]);
}

/** Σ_n x[n], also of no rows, which tfjs's sum cannot do on WebGPU. x [N, D] → [D]. */
export const sumOfRows = (x: Tensor): Tensor =>
  x.shape[0] === 0 ? zeros([x.shape[1] as number]) : sum(x, 0);
