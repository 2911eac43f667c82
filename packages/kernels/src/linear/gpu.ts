// The linear map on WebGPU where it is more than the products of mat-mul: on matrix units.
import { gpuKernel, type PlanCall } from '../gpu/bridge.ts';
import type { GpuPlan } from '../gpu/kernel.ts';
import * as mixed from './mixed.ts';
import type { BackwardInputs, Inputs } from './portable.ts';

const sizesOf = ({
  x: [rows = 0, inputs = 0],
  weight: [outputs = 0],
}: PlanCall<Inputs, object>['shapes']) => ({
  rows,
  inputs,
  outputs,
});

/** `undefined`: the product of mat-mul, whatever the precision. */
export function forwardPlan({ shapes, precision, device }: PlanCall<Inputs, object>): GpuPlan | undefined {
  const sizes = sizesOf(shapes);
  if (precision !== 'mixed' || !mixed.isForMixed(sizes, device)) return undefined;
  return mixed.forward(sizes, shapes.bias !== undefined);
}

export function backwardPlan({
  shapes,
  precision,
  device,
}: PlanCall<BackwardInputs, object>): GpuPlan | undefined {
  const sizes = sizesOf(shapes);
  if (precision !== 'mixed' || shapes.bias || !mixed.isForMixed(sizes, device)) return undefined;
  return mixed.backward(sizes);
}

export const forward = gpuKernel<Inputs, object>(forwardPlan);
export const backward = gpuKernel<BackwardInputs, object>(backwardPlan);
