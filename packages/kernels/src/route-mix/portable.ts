// Gathering and mixing of bucket rows in tensor ops. All are gathers, also backward.
import {
  add,
  cast,
  concat,
  equal,
  expandDims,
  gatherRows,
  mul,
  ones,
  range,
  reshape,
  slice,
  stack,
  sum,
  type Tensor,
  type Tensor2D,
} from '@mnemix/tensor';

/** `position` is there for the gradient. */
export type GatherInputs = { x: Tensor; source: Tensor; position: Tensor };
export type SumInputs = { o: Tensor; position: Tensor };
/** `source` is there for the gradient. Positions behind those that have a weight have weight 1. */
export type MixInputs = { o: Tensor; weights: Tensor; source: Tensor; position: Tensor };
export type MixBackwardInputs = MixInputs & { dy: Tensor };
export type MixGradients = { dO: Tensor; dWeights: Tensor };

export const gather = ({ x, source }: GatherInputs): { y: Tensor } => ({ y: gatherRows(x, source) });

export const sumCopies = ({ o, position }: SumInputs): { y: Tensor } => ({
  y: columns(position)
    .map((rows) => gatherRows(o, rows))
    .reduce((a, b) => add(a, b)),
});

export function mix({ o, weights, position }: MixInputs): { y: Tensor } {
  const shares = columns(weights);
  const parts = columns(position).map((rows, j) => {
    const found = gatherRows(o, rows);
    const share = shares[j];
    return share ? mul(found, expandDims(share, -1)) : found;
  });
  return { y: parts.reduce((a, b) => add(a, b)) };
}

export function mixBackward({ o, weights, source, position, dy }: MixBackwardInputs): MixGradients {
  const copies = source.size;
  // The choice by which bucket row u copies its token is the one whose position is u.
  const positions = gatherRows(cast(position, 'float32'), source);
  const isChoice = cast(equal(positions, reshape(range(0, copies), [copies, 1])), 'float32');
  const [rows = 0, weighted = 0] = weights.shape;
  const others = ones([rows, (position.shape[1] as number) - weighted]) as Tensor2D;
  const all = concat([weights as Tensor2D, others], 1);
  const share = sum(mul(isChoice, gatherRows(all, source)), -1, true);
  const dWeights = columns(position)
    .slice(0, weighted)
    .map((places) => sum(mul(gatherRows(o, places), dy), -1));
  return { dO: mul(share, gatherRows(dy, source)), dWeights: stack(dWeights, 1) };
}

/** x [R, K] as K tensors [R]. */
function columns(x: Tensor): Tensor[] {
  const [rows = 0, chosen = 0] = x.shape;
  return Array.from({ length: chosen }, (_, j) => reshape(slice(x, [0, j], [rows, 1]), [rows]));
}
