// Rows of a table by number, in tensor ops; on the CPU and WASM backends these are loops of their own.
import { gatherRows, scatterAddRows, type Tensor } from '@mnemix/tensor';

export type Inputs = { weight: Tensor; ids: Tensor };
export type BackwardInputs = { ids: Tensor; dy: Tensor };
export interface BackwardAttrs {
  /** V. */
  readonly rows: number;
}

export const forward = ({ weight, ids }: Inputs): { y: Tensor } => ({ y: gatherRows(weight, ids) });

export const backward = ({ ids, dy }: BackwardInputs, { rows }: BackwardAttrs): { dWeight: Tensor } => ({
  dWeight: scatterAddRows(dy, ids, rows),
});
