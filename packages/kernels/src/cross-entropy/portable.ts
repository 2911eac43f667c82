// Cross-entropy in tensor ops.
import {
  argMax,
  cast,
  div,
  equal,
  exp,
  expandDims,
  greaterEqual,
  less,
  logicalAnd,
  log,
  max,
  maximum,
  mul,
  notEqual,
  oneHot,
  scalar,
  sub,
  sum,
  where,
  zerosLike,
  type Tensor,
} from '@mnemix/tensor';

export type Inputs = { logits: Tensor; targets: Tensor };
/**
 * Of each row: `largest` is its largest logit, `logSum` is ln Σ e^{ℓ − largest}. Apart, they keep large
 * logits exact.
 */
type RowSums = { largest: Tensor; logSum: Tensor };
export type Outputs = { loss: Tensor; correct: Tensor; counted: Tensor } & RowSums;
export type BackwardInputs = Inputs & RowSums & { counted: Tensor; dLoss: Tensor };
export interface Attrs {
  readonly ignoreIndex: number;
}

export function forward({ logits, targets }: Inputs, { ignoreIndex }: Attrs): Outputs {
  const isCounted = countedRows(logits, targets, ignoreIndex);
  const counted = sum(cast(isCounted, 'float32'));
  const largest = max(logits, -1);
  const shifted = sub(logits, expandDims(largest, -1));
  const logSum = log(sum(exp(shifted), -1));
  const target = cast(oneHot(targets, logits.shape[1] as number), 'bool');
  // A selection and not a product: logits may be −∞.
  const targetLogit = sum(where(target, shifted, zerosLike(shifted)), -1);
  const losses = where(isCounted, sub(logSum, targetLogit), zerosLike(logSum));
  const hits = logicalAnd(isCounted, equal(argMax(logits), targets));
  const loss = div(sum(losses), maximum(counted, 1));
  return { loss, correct: sum(cast(hits, 'float32')), counted, largest, logSum };
}

export function backward(
  { logits, targets, counted, largest, logSum, dLoss }: BackwardInputs,
  { ignoreIndex }: Attrs,
): { dLogits: Tensor } {
  const probabilities = exp(sub(sub(logits, expandDims(largest, -1)), expandDims(logSum, -1)));
  const difference = sub(probabilities, oneHot(targets, logits.shape[1] as number));
  const isCounted = expandDims(countedRows(logits, targets, ignoreIndex), -1);
  // A selection here too: an ignored row may hold anything, NaN included.
  const rows = where(isCounted, difference, zerosLike(difference));
  return { dLogits: mul(rows, div(dLoss, maximum(counted, 1))) };
}

function countedRows(logits: Tensor, targets: Tensor, ignoreIndex: number): Tensor {
  const isClass = logicalAnd(greaterEqual(targets, 0), less(targets, logits.shape[1] as number));
  return logicalAnd(isClass, notEqual(targets, scalar(ignoreIndex, 'int32')));
}
