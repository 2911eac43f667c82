// SwiGLU's gate in tensor ops.
import { mul, silu, type Tensor } from '@mnemix/tensor';
import { siluWithSlope } from '../portable/silu.ts';

export type Inputs = { gate: Tensor; up: Tensor };
export type BackwardInputs = Inputs & { dy: Tensor };
export type Gradients = { dGate: Tensor; dUp: Tensor };

export const forward = ({ gate, up }: Inputs): { y: Tensor } => ({ y: mul(silu(gate), up) });

export function backward({ gate, up, dy }: BackwardInputs): Gradients {
  const { value, slope } = siluWithSlope(gate);
  return { dGate: mul(mul(dy, up), slope), dUp: mul(dy, value) };
}
