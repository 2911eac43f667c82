// SwiGLU's gate in tensor ops.
import { add, mul, sigmoid, sub, type Tensor } from '@mnemix/tensor';

export type Inputs = { gate: Tensor; up: Tensor };
export type BackwardInputs = Inputs & { dy: Tensor };
export type Gradients = { dGate: Tensor; dUp: Tensor };

export const forward = ({ gate, up }: Inputs): { y: Tensor } => ({ y: mul(mul(gate, sigmoid(gate)), up) });

export function backward({ gate, up, dy }: BackwardInputs): Gradients {
  const s = sigmoid(gate);
  return {
    dGate: mul(mul(dy, up), mul(s, add(1, mul(gate, sub(1, s))))),
    dUp: mul(dy, mul(gate, s)),
  };
}
