// What a readout needs of a memory's own inputs, beside what was read. It rides along in o's last axis,
// because that is what a Mixture-of-Memories mixes.
import type { Sequences } from '@mnemix/kernels';
import { cast, concat, expandDims, greaterEqual, mul, split, type Tensor3D } from '@mnemix/tensor';

/**
 * o and its riders side by side. In rows of no sequence they give 0 and get no gradient, as a scan does.
 *
 * @param o [N,H,dv] of a scan along `sequences`
 * @param riders [N,H,dv] each
 * @returns [N,H,dv·(1 + riders)]
 */
export function rideAlong(
  o: Tensor3D,
  riders: readonly Tensor3D[],
  { rowSequence, isFull }: Sequences,
): Tensor3D {
  const all = concat([o, ...riders], 2) as Tensor3D;
  if (isFull) return all;
  const isToken = cast(greaterEqual(rowSequence, 0), 'float32');
  return mul(all, expandDims(expandDims(isToken, 1), 2));
}

/** The inverse of {@link rideAlong}, mixed or not: o and its riders, [N,H,dv] each. */
export const alight = (o: Tensor3D, parts: number): Tensor3D[] => split(o, parts, 2);
