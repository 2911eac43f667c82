// x = (H + Diag(λ))^{-1} q for every token as an op, with H ← e^g H + k vᵀ and v = β k, and its gradient.
import { defineOp, mul, neg, sum, type Op, type Tensor } from '@mnemix/tensor';
import { diagonalDecayGradientOp } from '../diagonal-decay/op.ts';
import { sequenceTensors, type SequenceTensors } from '../portable/chunk-layout.ts';
import type { ScanAttrs } from '../portable/scan-options.ts';
import { solveInTensorOps } from './portable.ts';
import { solveKernel } from './wasm.ts';

export type MesaSolveInputs = {
  /** Right-hand sides [N, H, dk]. */
  q: Tensor;
  k: Tensor;
  /** β k [N, H, dk]. */
  v: Tensor;
  logDecay: Tensor;
  ridge: Tensor;
  initialState?: Tensor | undefined;
} & SequenceTensors;

/** x [N, H, dk], 0 in rows of no sequence; state: H after each sequence's last token. */
export type MesaSolveOutputs = { x: Tensor; state: Tensor };

export type MesaSolveAttrs = ScanAttrs & { readonly steps: number; readonly tolerance: number };

/**
 * The gradient is that of the solution itself, not of the steps to it: with y = (H + Diag(λ))^{-1} dx, solved
 * in the same way, dq = y, dλ = −Σ y ⊙ x, and everything inside of H gets the gradient of Σ ⟨−y, H x⟩ with x
 * held fixed. H x is what the diagonal-decay scan reads with the query x.
 */
export const mesaSolve: Op<MesaSolveInputs, MesaSolveOutputs, MesaSolveAttrs> = defineOp({
  name: 'MesaSolve',
  outputs: ['x', 'state'],
  savedOutputs: ['x'],
  integers: sequenceTensors,
  portable: solveInTensorOps,
  kernels: solveKernel,
  gradient: ({ inputs, outputs: { x }, grads, attrs }) => {
    const { x: y } = mesaSolve({ ...inputs, q: grads.x }, attrs);
    const { ridge: _, ...scan } = inputs;
    const pulled = diagonalDecayGradientOp({ ...scan, q: x, dO: neg(y), dState: grads.state }, attrs);
    return { ...pulled, q: y, ridge: neg(sum(mul(y, x), 0)) };
  },
});
