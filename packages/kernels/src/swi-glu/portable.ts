// SwiGLU's gate in tensor ops.
import { concat, mul, silu, split, type Tensor, type Tensor2D } from '@mnemix/tensor';
import { siluWithSlope } from '../portable/silu.ts';

export type Inputs = { gate: Tensor; up: Tensor };
export type BackwardInputs = Inputs & { dy: Tensor };
export type Gradients = { dGate: Tensor; dUp: Tensor };

export const forward = ({ gate, up }: Inputs): { y: Tensor } => ({ y: mul(silu(gate), up) });

export function backward({ gate, up, dy }: BackwardInputs): Gradients {
  const { value, slope } = siluWithSlope(gate);
  return { dGate: mul(mul(dy, up), slope), dUp: mul(dy, value) };
}

/** x [N, 2·D]: gate, then up. */
export type HalvesInputs = { x: Tensor };
export type HalvesBackwardInputs = HalvesInputs & { dy: Tensor };

const halvesOf = (x: Tensor): Inputs => {
  const [gate, up] = split(x, 2, 1);
  return { gate: gate as Tensor, up: up as Tensor };
};

export const forwardHalves = ({ x }: HalvesInputs): { y: Tensor } => forward(halvesOf(x));

export function backwardHalves({ x, dy }: HalvesBackwardInputs): { dx: Tensor } {
  const { dGate, dUp } = backward({ ...halvesOf(x), dy });
  return { dx: concat([dGate as Tensor2D, dUp as Tensor2D], 1) };
}
