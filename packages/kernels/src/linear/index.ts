// One linear map of all rows, or several.
import { checkShapes, currentPrecision, defineOp, type Tensor, type Tensor2D } from '@mnemix/tensor';
import * as gpu from './gpu.ts';
import { isWorthJoining } from './joined.ts';
import { mapsOfList } from './list.ts';
import * as portable from './portable.ts';
import * as wasm from './wasm.ts';

const backwardOp = defineOp<portable.BackwardInputs, portable.Gradients, object>({
  name: 'LinearBackward',
  outputs: ['dx', 'dWeight', 'dBias'],
  portable: portable.backward,
  kernels: { ...wasm.backward, ...gpu.backward },
});

const forwardOp = defineOp<portable.Inputs, { y: Tensor }, object>({
  name: 'Linear',
  outputs: ['y'],
  portable: portable.forward,
  kernels: { ...wasm.forward, ...gpu.forward },
  gradient: ({ inputs, grads }) => {
    const { dx, dWeight, dBias } = backwardOp({ ...inputs, dy: grads.y }, {});
    return { x: dx, weight: dWeight, bias: dBias };
  },
});

/**
 * y_n = W x_n + b for every row n.
 *
 * Gradients: dx_n = Wᵀ dy_n, dW = Σ_n dy_n x_nᵀ, db = Σ_n dy_n.
 *
 * @param inputs.x [N, in]
 * @param inputs.weight [out, in]
 * @param inputs.bias [out]
 * @returns [N, out]
 * @throws MnemixError `shape`
 */
export function linear({ x, weight, bias }: { x: Tensor; weight: Tensor; bias?: Tensor }): Tensor2D {
  checkShapes('linear', { x: [x, ['N', 'in']], weight: [weight, ['out', 'in']], bias: [bias, ['out']] });
  return forwardOp({ x, weight, bias }, {}).y as Tensor2D;
}

/** Narrower maps, such as a router, are products in float32 in mixed precision too, and stay that. */
const LEAST_MIXED_WIDTH = 64;

/** The weights of one map. */
export interface Layer {
  /** [out, in] */
  readonly weight: Tensor;
  /** [out] */
  readonly bias?: Tensor | undefined;
}

/**
 * Several maps of the same rows, each a {@link linear}. On WebGPU those without a bias are one product, and so is their gradient, which
 * reads the rows once and needs no sum; elsewhere launches cost nothing and copies do, so there each is one.
 *
 * @param x [N, in]
 * @returns [N, out] of each map
 * @throws MnemixError `shape`
 */
export function linears(x: Tensor, layers: readonly Layer[]): Tensor2D[] {
  const { maps, rows } = linearsAndRows(x, layers);
  if (rows !== x) rows.dispose();
  return maps;
}

/**
 * {@link linears}, and x again for what else is to be made of it: the gradient of that is then added where that of the maps is made,
 * and not in a pass of its own.
 *
 * @param x [N, in]
 * @returns `maps` [N, out] of each; `rows` [N, in]: x itself where each map is a product of its own, else another tensor of the same
 *   data, the caller's to free as the maps are
 * @throws MnemixError `shape`
 */
export function linearsAndRows(
  x: Tensor,
  layers: readonly Layer[],
): { readonly maps: Tensor2D[]; readonly rows: Tensor2D } {
  for (const { weight, bias } of layers) {
    checkShapes('linears', { x: [x, ['N', 'in']], weight: [weight, ['out', 'in']], bias: [bias, ['out']] });
  }
  const isMixed = currentPrecision() === 'mixed';
  const isJoined = layers.map(
    ({ weight, bias }) => !bias && !(isMixed && weight.shape[0] < LEAST_MIXED_WIDTH),
  );
  const joined = layers.filter((_, i) => isJoined[i]);
  const width = joined.reduce((sum, { weight }) => sum + (weight.shape[0] as number), 0);
  if (joined.length < 2 || !isWorthJoining(x.shape[0] as number, width)) {
    return { maps: layers.map((layer) => linear({ x, ...layer })), rows: x as Tensor2D };
  }
  const { maps, rows } = mapsOfList(
    x,
    joined.map(({ weight }) => weight),
  );
  return {
    maps: layers.map((layer, i) => (isJoined[i] && maps.shift()) || linear({ x: rows, ...layer })),
    rows,
  };
}
