// The linear map on WebGPU where it is more than the products of mat-mul: on matrix units.
import { gpuKernel } from '../gpu/bridge.ts';
import type { GpuPlan } from '../gpu/kernel.ts';
import { gradientsOf, partsOf, sourcesOf, type MapCall } from '../join-rows/weights.ts';
import { canPackList } from '../mat-mul/pack-rows.ts';
import * as mixed from './mixed.ts';
import type { BackwardInputs, Inputs, ListBackwardInputs, ListInputs } from './portable.ts';

function sizesOf(shapes: MapCall['shapes']): mixed.Sizes {
  const [rows = 0, inputs = 0] = shapes['x'] ?? [];
  const sources = sourcesOf(shapes);
  return { rows, inputs, outputs: Object.values(sources).reduce((a, b) => a + b, 0), sources };
}

/** Whether the products pack a list of weights as it is, part0, part1, …. */
export const packsList = ({ shapes, precision, device }: MapCall): boolean =>
  precision === 'mixed' &&
  canPackList(Object.keys(partsOf(shapes)).length, device) &&
  mixed.isForMixed(sizesOf(shapes), device);

/** `undefined`: the product of mat-mul, whatever the precision. */
export function forwardPlan({ shapes, precision, device }: MapCall): GpuPlan | undefined {
  const sizes = sizesOf(shapes);
  if (precision !== 'mixed' || !mixed.isForMixed(sizes, device)) return undefined;
  return mixed.forward(sizes, shapes['bias'] !== undefined);
}

export function backwardPlan({ shapes, precision, device }: MapCall): GpuPlan | undefined {
  const sizes = sizesOf(shapes);
  if (precision !== 'mixed' || shapes['bias'] || !mixed.isForMixed(sizes, device)) return undefined;
  return mixed.backward(sizes, gradientsOf(shapes), device);
}

export const forward = gpuKernel<Inputs, object>(forwardPlan);
export const backward = gpuKernel<BackwardInputs, object>((call) => {
  const plan = backwardPlan(call);
  // Nobody looks at the bias's, but an empty one cannot be bound.
  return plan && { ...plan, outputs: { ...plan.outputs, dBias: { shape: [1] } } };
});
export const forwardOfList = gpuKernel<ListInputs, object>(forwardPlan);
export const backwardOfList = gpuKernel<ListBackwardInputs, object>(backwardPlan);
