// Rotary position encoding (Su et al. 2021), the half-split form that fla and Llama use.
import { rotary as rotate, type Sequences } from '@mnemix/kernels';
import {
  add,
  cast,
  expandDims,
  gatherRows,
  range,
  reshape,
  sub,
  tile,
  type Tensor1D,
  type Tensor3D,
} from '@mnemix/tensor';

/**
 * Position of each row within its sequence, float32 [rows].
 *
 * @param offset [sequences] tokens that each sequence has seen before
 */
export function rowPositions(sequences: Sequences, offset?: Tensor1D): Tensor1D {
  const { rows, rowSequence, starts, uniform } = sequences;
  const perRow = (values: Tensor1D): Tensor1D =>
    reshape(gatherRows(expandDims(values, 1), rowSequence), [rows]) as Tensor1D;
  const within = (
    uniform
      ? tile(range(0, uniform.tokens), [uniform.batch])
      : sub(range(0, rows), perRow(cast(starts, 'float32') as Tensor1D))
  ) as Tensor1D;
  return offset === undefined ? within : add(within, perRow(offset));
}

/**
 * Rotates channel pairs (i, i + D/2) by the angle position·base^(−2i/D).
 *
 * @param x [N,H,D], D even
 * @param positions [N]; constants to the gradient
 */
export const rotary = (x: Tensor3D, positions: Tensor1D, base = 10000): Tensor3D =>
  rotate({ x, positions }, { base }) as Tensor3D;
