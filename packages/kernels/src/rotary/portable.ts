// Rotation in tensor ops.
import {
  add,
  concat,
  cos,
  expandDims,
  mul,
  reshape,
  sin,
  slice,
  sub,
  tensor1d,
  type Tensor,
} from '@mnemix/tensor';

export type Inputs = { x: Tensor; positions: Tensor };
export interface Attrs {
  readonly base: number;
  /** Turns back. */
  readonly inverse: boolean;
}

/** base^(−2i/D) of each pair i, in radians for each position. */
export const frequenciesOf = (width: number, base: number): number[] =>
  Array.from({ length: width / 2 }, (_, i) => base ** ((-2 * i) / width));

export function forward({ x, positions }: Inputs, { base, inverse }: Attrs): { y: Tensor } {
  const [rows, heads, width] = x.shape as [number, number, number];
  const half = width / 2;
  const frequencies = tensor1d(frequenciesOf(width, base).map((f) => (inverse ? -f : f)));
  const angles = reshape(mul(expandDims(positions, 1), expandDims(frequencies, 0)), [rows, 1, half]);
  const [c, s] = [cos(angles), sin(angles)];
  const first = slice(x, [0, 0, 0], [rows, heads, half]);
  const second = slice(x, [0, 0, half], [rows, heads, half]);
  return { y: concat([sub(mul(first, c), mul(second, s)), add(mul(first, s), mul(second, c))], 2) };
}
