// The linear map on WebGPU where it is more than the products of mat-mul: on matrix units; and where several products are one dispatch.
import { gpuKernel } from '../gpu/bridge.ts';
import type { GpuPlan } from '../gpu/kernel.ts';
import { gradientsOf, partsOf, sourcesOf, type MapCall } from '../join-rows/weights.ts';
import { isAbleOfApart } from '../grouped-linear/mixed.ts';
import { canPackList } from '../mat-mul/pack-rows.ts';
import type { ColumnsAttrs, Slopes } from '../split-columns/index.ts';
import * as float32 from './float32.ts';
import * as mixed from './mixed.ts';
import type { BackwardInputs, Inputs, ListBackwardInputs, ListInputs } from './portable.ts';

function sizesOf(shapes: MapCall['shapes']): mixed.Sizes {
  const [rows = 0, inputs = 0] = shapes['x'] ?? [];
  const sources = sourcesOf(shapes);
  return { rows, inputs, outputs: Object.values(sources).reduce((a, b) => a + b, 0), sources };
}

const mapsOf = ({ rows, inputs, sources }: mixed.Sizes, isJoined: boolean): float32.Maps => ({
  rows,
  inputs,
  weights: sources,
  isJoined,
});

/**
 * Whether the products read a list of weights as it is, part0, part1, ….
 *
 * @param isJoined the outputs of all are one tensor
 */
export const takesList =
  (isJoined: boolean) =>
  ({ shapes, precision, device }: MapCall): boolean => {
    const sizes = sizesOf(shapes);
    return precision === 'mixed' && mixed.isForMixed(sizes, device)
      ? canPackList(Object.keys(partsOf(shapes)).length, device)
      : float32.isForFloat32(mapsOf(sizes, isJoined), device);
  };

/** `undefined`: the product of mat-mul, whatever the precision. */
export function forwardPlan({ shapes, precision, device }: MapCall): GpuPlan | undefined {
  const sizes = sizesOf(shapes);
  if (precision === 'mixed' && mixed.isForMixed(sizes, device)) {
    return mixed.forward(sizes, shapes['bias'] !== undefined);
  }
  // Of one weight it is what mat-mul does, too.
  const maps = mapsOf(sizes, true);
  return 'weight' in sizes.sources || !float32.isForFloat32(maps, device)
    ? undefined
    : float32.forward(maps, device);
}

export function backwardPlan({ shapes, precision, device }: MapCall): GpuPlan | undefined {
  if (shapes['bias']) return undefined;
  const sizes = sizesOf(shapes);
  if (precision === 'mixed' && mixed.isForMixed(sizes, device)) {
    return mixed.backward(sizes, gradientsOf(shapes), device);
  }
  const maps = mapsOf(sizes, true);
  return float32.isForFloat32(maps, device) ? float32.backward(maps, gradientsOf(shapes), device) : undefined;
}

/** Of maps whose outputs are apart; where products cannot write and read them so, others take them apart. */
export function columnsForwardPlan(
  { shapes, precision, device }: MapCall,
  widths: readonly number[],
): GpuPlan | undefined {
  const sizes = sizesOf(shapes);
  if (precision === 'mixed' && mixed.isForMixed(sizes, device)) {
    return isAbleOfApart(widths, device) ? mixed.forward(sizes, false, widths) : undefined;
  }
  const maps = mapsOf(sizes, false);
  // Weights that came as one are read as one.
  const isPossible = !('weight' in sizes.sources) && float32.isForFloat32(maps, device);
  return isPossible ? float32.forward(maps, device) : undefined;
}

export function columnsBackwardPlan(
  { shapes, precision, device }: MapCall,
  widths: readonly number[],
): GpuPlan | undefined {
  const sizes = sizesOf(shapes);
  const isPassed = shapes['dPassed'] !== undefined;
  if (precision === 'mixed' && mixed.isForMixed(sizes, device)) {
    return isAbleOfApart(widths, device, sizes.sources)
      ? mixed.backward(sizes, gradientsOf(shapes), device, { widths, isPassed })
      : undefined;
  }
  const maps = mapsOf(sizes, false);
  const isPossible = !('weight' in sizes.sources) && float32.isForFloat32(maps, device);
  return isPossible ? float32.backward(maps, gradientsOf(shapes), device, isPassed) : undefined;
}

/** Of two maps, gate and up, and silu(gate) ⊙ up: in float32, and for weights that are read as they are. */
export function gatedPlan({ shapes, precision, device }: MapCall): GpuPlan | undefined {
  const sizes = sizesOf(shapes);
  const isMixed = precision === 'mixed' && mixed.isForMixed(sizes, device);
  return isMixed || 'weight' in sizes.sources ? undefined : float32.forwardGated(mapsOf(sizes, true), device);
}

export const forward = gpuKernel<Inputs, object>(forwardPlan);
export const backward = gpuKernel<BackwardInputs, object>((call) => {
  const plan = backwardPlan(call);
  // Nobody looks at the bias's, but an empty one cannot be bound.
  return plan && { ...plan, outputs: { ...plan.outputs, dBias: { shape: [1] } } };
});
export const forwardOfList = gpuKernel<ListInputs, object>(forwardPlan);
export const backwardOfList = gpuKernel<ListBackwardInputs, object>(backwardPlan);
export const forwardOfColumns = gpuKernel<ListInputs, ColumnsAttrs>((call) =>
  columnsForwardPlan(call, call.attrs.widths),
);
export const backwardOfColumns = gpuKernel<ListInputs & Slopes, ColumnsAttrs>((call) =>
  columnsBackwardPlan(call, call.attrs.widths),
);
