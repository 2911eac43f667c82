// One linear map per group of rows.
import { checkConfig, checkShapes, currentBackend, reshape, type Tensor } from '@mnemix/tensor';
import { joinRows } from '../join-rows/index.ts';
import type { Sequences } from '../sequences.ts';
import { forwardOp, splitOp } from './op.ts';
import { nameOf } from '../split-columns/gpu.ts';

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

/** What the groups have of one map. */
export interface GroupedLayer {
  /** [out, in] of each group. */
  readonly weights: readonly Tensor[];
  /** [out] of each group. */
  readonly biases?: readonly Tensor[] | undefined;
}

/**
 * Several maps of the same rows, each a {@link groupedLinear}. On WebGPU they are one product, whose columns are taken apart
 * behind it: it reads the rows once, and so does its gradient. Elsewhere launches cost nothing and copies do, so there each is one.
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
  if (layers.length === 1 || !isAlike || currentBackend() !== 'webgpu') {
    return layers.map((layer) => groupedLinear({ x, ...joined([layer]) }, { groups }));
  }
  const { weight, bias } = joined(layers);
  const widths = layers.map(({ weights }) => weights[0]?.shape[0] as number);
  checkShapes('groupedLinears', {
    x: [x, [groups.rows, 'in']],
    weights: [weight, [groups.count, widths.reduce((a, b) => a + b), 'in']],
    biases: [bias, weight.shape.slice(0, 2)],
  });
  const { starts, lengths, rowSequence } = groups;
  const parts = splitOp({ x, weight, bias, starts, lengths, rowSequence }, { widths });
  return widths.map((_, i) => parts[nameOf(i)] as Tensor);
}

/** The layers of each group one below the other, group by group: weight [M, Σ out, in], bias [M, Σ out]. */
function joined(layers: readonly GroupedLayer[]): { weight: Tensor; bias?: Tensor } {
  const join = (lists: readonly (readonly Tensor[])[]): Tensor => {
    const groups = lists[0]?.length ?? 0;
    const parts = Array.from({ length: groups }, (_, m) => lists.map((list) => list[m] as Tensor));
    const whole = joinRows(parts.flat());
    const [size = 0, ...rest] = whole.shape;
    return reshape(whole, [groups, size / groups, ...rest]);
  };
  const biases = layers.flatMap((layer) => (layer.biases ? [layer.biases] : []));
  return {
    weight: join(layers.map(({ weights }) => weights)),
    ...(biases.length > 0 ? { bias: join(biases) } : {}),
  };
}
