// The token shift of the RWKV family (Peng et al. 2023, "RWKV: Reinventing RNNs for the Transformer Era"):
// each channel sees a mix of its token and the one before it.
//   δ_t = x_{t−1} − x_t ;  x_t + δ_t ⊙ μ  is the token itself where μ = 0, the one before where μ = 1
import { shortConv, type Sequences } from '@mnemix/kernels';
import { add, mul, tensor3d, type Tensor, type Tensor2D, type Tensor3D } from '@mnemix/tensor';

/** Tokens that {@link tokenShift} looks at, and keeps in its state. */
export const SHIFT_TAPS = 2;

/**
 * δ_t = x_{t−1} − x_t along each sequence. What lies before a sequence comes from its window; zeros if there
 * is none.
 *
 * @param x [N,d]
 * @param window [sequences,d,2] as an earlier call returned it: the last inputs, the newest last
 * @returns delta [N,d], 0 in rows of no sequence; window [sequences,d,2]
 * @throws MnemixError `shape`
 */
export function tokenShift(
  x: Tensor2D,
  sequences: Sequences,
  window?: Tensor3D,
): { delta: Tensor2D; window: Tensor3D } {
  const channels = x.shape[1];
  const taps = Float32Array.from({ length: SHIFT_TAPS * channels }, (_, i) =>
    i % SHIFT_TAPS === 0 ? 1 : -1,
  );
  const { y, state } = shortConv(
    { x, weight: tensor3d(taps, [channels, 1, SHIFT_TAPS]), initialState: window },
    { sequences, activation: 'none' },
  );
  return { delta: y as Tensor2D, window: state as Tensor3D };
}

/**
 * x + δ ⊙ μ.
 *
 * @param x [N,d]
 * @param delta [N,d] of {@link tokenShift}
 * @param mu [d], or [N,d] where it depends on the token
 * @returns [N,d]
 */
export const mixShifted = (x: Tensor2D, delta: Tensor2D, mu: Tensor): Tensor2D => add(x, mul(delta, mu));

/** μ_i = 1 − (i/d)^power, [d]: the first channels start from the token before, the last from their own. */
export const initialMix = (width: number, power: number): Float32Array =>
  Float32Array.from({ length: width }, (_, i) => 1 - (i / width) ** power);
