// The grouped linear map on WebGPU. Which rows belong to which group only the device knows, so dispatches are for as many tiles as
// there can be: every group's rows in whole tiles, and one more for each group. Nothing is padded, and nothing is read back.
import { sizeOf } from '@mnemix/tensor';
import { gpuKernel } from '../gpu/bridge.ts';
import type { GpuPlan } from '../gpu/kernel.ts';
import { gradientsOf, partsOf, type MapCall } from '../join-rows/weights.ts';
import { canPackList, type Part } from '../mat-mul/pack-rows.ts';
import type { ColumnsAttrs, Slopes } from '../split-columns/index.ts';
import { biasGradient } from './bias-gradient.ts';
import * as float32 from './float32.ts';
import { isAbleOfApart, isAbleOfMixed, mixedBackward, mixedForward } from './mixed.ts';
import type { BackwardInputs, Inputs, ListBackwardInputs, ListInputs } from './portable.ts';
import { mapSizes, type Sizes } from './sizes.ts';
import { sumTiles, sumTilesApart, type Sum } from './sum-tiles.ts';

/** Whether the products pack a list of weights as it is, part0, part1, …. */
export const packsList = ({ shapes, device, precision }: MapCall): boolean =>
  precision === 'mixed' &&
  canPackList(Object.keys(partsOf(shapes)).length, device) &&
  isAbleOfMixed(mapSizes(shapes), device);

export function forwardPlan({ shapes, device, precision }: MapCall): GpuPlan | undefined {
  const sizes = mapSizes(shapes);
  const hasBias = shapes['bias'] !== undefined;
  if (precision === 'mixed' && isAbleOfMixed(sizes, device)) {
    return { outputs: { y: { shape: [sizes.rows, sizes.outputs] } }, ...mixedForward(sizes, hasBias) };
  }
  return float32.forward(sizes, hasBias, device);
}

export function backwardPlan({ shapes, device, precision }: MapCall): GpuPlan | undefined {
  const sizes = mapSizes(shapes);
  const sum = sumsOf(gradientsOf(shapes), device);
  const products =
    precision === 'mixed' && isAbleOfMixed(sizes, device)
      ? mixedBackward(sizes, sum)
      : float32.backward(sizes, wholeOf(sizes), sum, device);
  return products && withBias(products, sizes, shapes);
}

/** All columns as those of one map. */
const wholeOf = ({ outputs }: Sizes): float32.Maps => ({ widths: [outputs], isJoined: true });

/** The plan of a gradient whose products are these. */
function withBias(products: Part, sizes: Sizes, shapes: MapCall['shapes']): GpuPlan {
  const bias = shapes['bias'] && biasGradient(sizes);
  return {
    outputs: {
      dx: { shape: [sizes.rows, sizes.inputs] },
      ...Object.fromEntries(Object.entries(gradientsOf(shapes)).map(([name, shape]) => [name, { shape }])),
      // Without a bias nobody looks at it.
      dBias: { shape: [sizes.groups, sizes.outputs] },
    },
    scratch: { ...products.scratch, ...bias?.scratch },
    dispatches: [...products.dispatches, ...(bias?.dispatches ?? [])],
  };
}

/** From the sums over each tile of rows to the weights' gradients. */
function sumsOf(gradients: Readonly<Record<string, readonly number[]>>, device: GPUDevice): Sum {
  const [first = '', ...others] = Object.keys(gradients);
  if (others.length === 0) return (tiles) => [sumTiles(first, tiles)];
  const sizes = Object.entries(gradients).map(([name, shape]) => [name, sizeOf(shape)] as const);
  return (tiles) => sumTilesApart(Object.fromEntries(sizes), tiles, device);
}

/** Of maps whose outputs are apart; where products cannot write and read them so, others take them apart. */
export function columnsForwardPlan(
  { shapes, device, precision }: MapCall,
  widths: readonly number[],
): GpuPlan | undefined {
  const sizes = mapSizes(shapes);
  const hasBias = shapes['bias'] !== undefined;
  // Those in float32 make a whole.
  const isMixed = precision === 'mixed' && isAbleOfMixed(sizes, device);
  if (!isMixed || !isAbleOfApart(widths, device)) return undefined;
  const outputs = widths.map((width, m) => [`y${m}`, { shape: [sizes.rows, width] }]);
  return { outputs: Object.fromEntries(outputs), ...mixedForward(sizes, hasBias, widths) };
}

export function columnsBackwardPlan(
  { shapes, device, precision }: MapCall,
  widths: readonly number[],
): GpuPlan | undefined {
  // The gradient of a bias adds up the whole.
  if (shapes['bias']) return undefined;
  const sizes = mapSizes(shapes);
  const sum = sumsOf(gradientsOf(shapes), device);
  const isMixed = precision === 'mixed' && isAbleOfMixed(sizes, device);
  if (isMixed && !isAbleOfApart(widths, device, sizes.sources)) return undefined;
  const products = isMixed
    ? mixedBackward(sizes, sum, widths)
    : float32.backward(sizes, { widths, isJoined: false }, sum, device);
  return products && withBias(products, sizes, shapes);
}

export const forward = gpuKernel<Inputs, object>(forwardPlan);
export const backward = gpuKernel<BackwardInputs, object>(backwardPlan);
export const forwardOfList = gpuKernel<ListInputs, object>(forwardPlan);
export const backwardOfList = gpuKernel<ListBackwardInputs, object>(backwardPlan);

export const forwardOfColumns = gpuKernel<ListInputs, ColumnsAttrs>((call) =>
  columnsForwardPlan(call, call.attrs.widths),
);
export const backwardOfColumns = gpuKernel<ListInputs & Slopes, ColumnsAttrs>((call) =>
  columnsBackwardPlan(call, call.attrs.widths),
);
