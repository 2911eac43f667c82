// silu(z) = z·σ(z) in tensor ops.
import { add, mul, sigmoid, sub, type Tensor } from '@mnemix/tensor';

/** silu(z) and its slope σ(z)(1 + z(1 − σ(z))). */
export function siluWithSlope(z: Tensor): { value: Tensor; slope: Tensor } {
  const open = sigmoid(z);
  return { value: mul(z, open), slope: mul(open, add(1, mul(z, sub(1, open)))) };
}
