// Rotary position encoding (Su et al. 2021), the half-split form that fla and Llama use.
import {
  add,
  cast,
  concat,
  cos,
  expandDims,
  gatherRows,
  mul,
  range,
  reshape,
  sin,
  slice,
  sub,
  tensor1d,
  tile,
  type Tensor,
  type Tensor1D,
  type Tensor3D,
} from '@mnemix/tensor';
import type { Sequences } from '@mnemix/kernels';

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
 * @param positions [N]
 */
export function rotary(x: Tensor3D, positions: Tensor1D, base = 10000): Tensor3D {
  const [rows, heads, width] = x.shape;
  const half = width / 2;
  const frequencies = tensor1d(Array.from({ length: half }, (_, i) => base ** (-i / half)));
  const angles: Tensor = reshape(mul(expandDims(positions, 1), expandDims(frequencies, 0)), [rows, 1, half]);
  const [c, s] = [cos(angles), sin(angles)];
  const first = slice(x, [0, 0, 0], [rows, heads, half]);
  const second = slice(x, [0, 0, half], [rows, heads, half]);
  return concat([sub(mul(first, c), mul(second, s)), add(mul(first, s), mul(second, c))], 2) as Tensor3D;
}
