// One linear map per group of rows.
import { checkConfig, checkShapes, type Tensor } from '@mnemix/tensor';
import { isWorthJoining } from '../linear/joined.ts';
import type { Sequences } from '../sequences.ts';
import { mapsOfLists, stacked, type GroupedLayer } from './list.ts';
import { forwardOp } from './op.ts';

export type { GroupedLayer };

export interface GroupedLinearOptions {
  /** The rows of each group; as many groups as there are weights. */
  readonly groups: Sequences;
}

/**
 * y_n = W_m x_n + b_m for every row n of group m. Rows of no group give 0.
 *
 * Gradients: dx_n = W_mᵀ dy_n, dW_m = Σ_{n∈m} dy_n x_nᵀ, db_m = Σ_{n∈m} dy_n.
 *
 * @param inputs.x [N, in]
 * @param inputs.weight [M, out, in]
 * @param inputs.bias [M, out]
 * @returns [N, out]
 * @throws MnemixError `shape`
 */
export function groupedLinear(
  { x, weight, bias }: { x: Tensor; weight: Tensor; bias?: Tensor },
  { groups }: GroupedLinearOptions,
): Tensor {
  checkShapes('groupedLinear', {
    x: [x, [groups.rows, 'in']],
    weight: [weight, [groups.count, 'out', 'in']],
    bias: [bias, [groups.count, 'out']],
  });
  const { starts, lengths, rowSequence } = groups;
  return forwardOp({ x, weight, bias, starts, lengths, rowSequence }, {}).y;
}

/**
 * Several maps of the same rows, each a {@link groupedLinear}. On WebGPU they are one product, which reads the rows once, and
 * so does its gradient. Elsewhere launches cost nothing and copies do, so there each is one.
 *
 * @param x [N, in]
 * @param layers at least one; all with biases, or none, where they are to be one product
 * @returns [N, out] of each map
 * @throws MnemixError `shape`; `config` where a map has not one weight for each group
 */
export function groupedLinears(
  x: Tensor,
  layers: readonly GroupedLayer[],
  { groups }: GroupedLinearOptions,
): Tensor[] {
  for (const lists of layers.flatMap(({ weights, biases }) => [weights, biases ?? weights])) {
    checkConfig(
      lists.length === groups.count,
      'groupedLinears(layers)',
      `there are ${lists.length} weights or biases for ${groups.count} groups.`,
      'Pass one for each group.',
    );
  }
  const isAlike = new Set(layers.map(({ biases }) => biases === undefined)).size === 1;
  const width = layers.reduce((sum, { weights }) => sum + (weights[0]?.shape[0] ?? 0), 0);
  if (layers.length === 1 || !isAlike || !isWorthJoining(groups.rows, width, 0)) {
    return layers.map(({ weights, biases }) =>
      groupedLinear(
        { x, weight: stacked([weights]), ...(biases && { bias: stacked([biases]) }) },
        { groups },
      ),
    );
  }
  const shapes = layers.flatMap(({ weights, biases }, i) => [
    ...weights.map((weight, m) => [`layers[${i}].weights[${m}]`, [weight, [`out${i}`, 'in']]] as const),
    ...(biases ?? []).map((bias, m) => [`layers[${i}].biases[${m}]`, [bias, [`out${i}`]]] as const),
  ]);
  checkShapes('groupedLinears', { x: [x, [groups.rows, 'in']], ...Object.fromEntries(shapes) });
  return mapsOfLists(x, layers, groups);
}
