// RMSNorm on WebGPU, and whatever else scales rows by a length: bindings and dispatches of forward.wgsl and
// backward.wgsl.
import { gpuKernel } from '../gpu/bridge.ts';
import { f32, u32, type GpuPlan } from '../gpu/kernel.ts';
import { INVOCATIONS, MAX_PARTIALS, packedRows, rowGroups, rowLayout } from '../gpu/rows/index.ts';
import { sumRows } from '../gpu/sum-rows.ts';
import backwardWgsl from './backward.wgsl';
import forwardWgsl from './forward.wgsl';
import type { Attrs, BackwardInputs, Inputs } from './portable.ts';

const forwardText = packedRows(forwardWgsl);
const backwardText = packedRows(backwardWgsl);

/** The rows, by shape and what they are scaled by: (Σx² / divisor + ε)^{−1/2}. */
export interface Scaling {
  readonly shape: readonly number[];
  readonly divisor: number;
  readonly eps: number;
  readonly isWeighted: boolean;
}

/** `y` from `x` and, if there is one, `weight`. */
export function scaleForward({ shape, divisor, eps, isWeighted }: Scaling): GpuPlan {
  const [rows = 0, width = 0] = shape;
  const layout = rowLayout(width);
  return {
    outputs: { y: { shape } },
    dispatches: [
      {
        kernel: {
          name: 'RmsNorm forward',
          wgsl: forwardText[layout.pack],
          bindings: ['read', 'read', 'write'],
          constants: { ...layout.constants, isWeighted: Number(isWeighted) },
        },
        buffers: ['x', isWeighted ? 'weight' : 'x', 'y'],
        uniforms: [u32(rows), f32(divisor), f32(eps)],
        workgroups: [rowGroups(rows, layout)],
      },
    ],
  };
}

/** `dx` from `x`, `dy` and, if there is one, `weight`; then `dWeight` too, which is [0] otherwise. */
export function scaleBackward(
  { shape, divisor, eps, isWeighted }: Scaling,
  { limits }: GPUDevice,
): GpuPlan | undefined {
  const [rows = 0, width = 0] = shape;
  const layout = rowLayout(width);
  const workgroupBytes = 8 * INVOCATIONS + (isWeighted ? 4 * layout.slots * width : 16);
  if (workgroupBytes > limits.maxComputeWorkgroupStorageSize) return undefined;
  const groups = rowGroups(rows, layout, isWeighted ? MAX_PARTIALS : undefined);
  return {
    outputs: { dx: { shape }, dWeight: { shape: [isWeighted ? width : 0] } },
    // Something must be bound.
    scratch: { partialDWeight: { shape: isWeighted ? [groups, width] : [4] } },
    dispatches: [
      {
        kernel: {
          name: 'RmsNorm backward',
          wgsl: backwardText[layout.pack],
          bindings: ['read', 'read', 'read', 'write', 'write'],
          constants: { ...layout.constants, isWeighted: Number(isWeighted) },
        },
        buffers: ['x', isWeighted ? 'weight' : 'x', 'dy', 'dx', 'partialDWeight'],
        uniforms: [u32(rows), f32(divisor), f32(eps)],
        workgroups: [groups],
      },
      ...(isWeighted ? [sumRows('partialDWeight', 'dWeight', groups, width)] : []),
    ],
  };
}

const scalingOf = (
  shapes: { readonly x: readonly number[]; readonly weight: readonly number[] | undefined },
  { eps }: Attrs,
): Scaling => ({
  shape: shapes.x,
  divisor: shapes.x[1] as number,
  eps,
  isWeighted: shapes.weight !== undefined,
});

export const forward = gpuKernel<Inputs, Attrs>(({ shapes, attrs }) =>
  scaleForward(scalingOf(shapes, attrs)),
);

export const backward = gpuKernel<BackwardInputs, Attrs>(({ shapes, attrs, device }) =>
  scaleBackward(scalingOf(shapes, attrs), device),
);
