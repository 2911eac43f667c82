// RMSNorm on WebGPU, and whatever else scales rows by a length: bindings and dispatches of forward.wgsl and
// backward.wgsl.
import { gpuKernel } from '../gpu/bridge.ts';
import { f32, u32, type GpuDispatch, type GpuPlan } from '../gpu/kernel.ts';
import { MAX_PARTIALS, obstacleToSums, packedRows, rowGroups, rowLayout } from '../gpu/rows/index.ts';
import { sumRows } from '../gpu/sum-rows.ts';
import backwardRowsWgsl from './backward-rows.wgsl';
import backwardSumsWgsl from './backward-sums.wgsl';
import backwardTwoWgsl from './backward-two.wgsl';
import backwardWeightWgsl from './backward-weight.wgsl';
import backwardWgsl from './backward.wgsl';
import forwardRowsWgsl from './forward-rows.wgsl';
import forwardSumsWgsl from './forward-sums.wgsl';
import forwardTwoWgsl from './forward-two.wgsl';
import forwardWgsl from './forward.wgsl';
import type { AddBackwardInputs, AddInputs, Attrs, BackwardInputs, Inputs } from './portable.ts';
import weightWgsl from './weight.wgsl';

const forwardTexts = {
  rows: packedRows(weightWgsl, forwardRowsWgsl, forwardWgsl),
  sums: packedRows(weightWgsl, forwardSumsWgsl, forwardWgsl),
  two: packedRows(forwardTwoWgsl, forwardWgsl),
};
const backwardTexts = {
  rows: packedRows(weightWgsl, backwardWeightWgsl, backwardRowsWgsl, backwardWgsl),
  sums: packedRows(weightWgsl, backwardWeightWgsl, backwardSumsWgsl, backwardWgsl),
  two: packedRows(backwardTwoWgsl, backwardWgsl),
};

/** The rows, by shape and what they are scaled by: (Σx² / divisor + ε)^{−1/2}. */
export interface Scaling {
  readonly shape: readonly number[];
  readonly divisor: number;
  readonly eps: number;
  readonly isWeighted: boolean;
  /**
   * `sums`: scaled are those of `x` and `added`, which are left in `sum` and have a gradient `dSum` besides. `two`: the shape is that of
   * `x` with `z` behind it, without a weight; what belongs to z is `yOfZ`, `dyOfZ`, `dz`. Default `rows`, those of `x`.
   */
  readonly kind?: keyof typeof forwardTexts;
}

const forwardBuffers = (kind: keyof typeof forwardTexts, weight: string) =>
  ({
    rows: { read: ['x', weight], written: ['y'] },
    sums: { read: ['x', 'added', weight], written: ['sum', 'y'] },
    two: { read: ['x', 'z'], written: ['y', 'yOfZ'] },
  })[kind];

const backwardBuffers = (kind: keyof typeof forwardTexts, weight: string) =>
  ({
    rows: { read: ['x', weight, 'dy'], written: ['dx', 'partialDWeight'] },
    sums: { read: ['x', weight, 'dy', 'dSum'], written: ['dx', 'partialDWeight'] },
    two: { read: ['x', 'z', 'dy', 'dyOfZ'], written: ['dx', 'dz'] },
  })[kind];

/** The part of a dispatch that says what it reads and writes. */
function kernelOn(
  name: string,
  wgsl: string,
  { read, written }: ReturnType<typeof forwardBuffers>,
  constants: Readonly<Record<string, number>>,
): Pick<GpuDispatch, 'kernel' | 'buffers'> {
  const bindings = [...read.map(() => 'read' as const), ...written.map(() => 'write' as const)];
  return { kernel: { name, wgsl, bindings, constants }, buffers: [...read, ...written] };
}

/** `y` from `x` and, if there is one, `weight`. */
export function scaleForward({ shape, divisor, eps, isWeighted, kind = 'rows' }: Scaling): GpuPlan {
  const [rows = 0, width = 0] = shape;
  const layout = rowLayout(width);
  return {
    outputs: { ...(kind === 'sums' ? { sum: { shape } } : {}), y: { shape } },
    dispatches: [
      {
        ...kernelOn(
          'RmsNorm forward',
          forwardTexts[kind][layout.pack],
          forwardBuffers(kind, isWeighted ? 'weight' : 'x'),
          { ...layout.constants, isWeighted: Number(isWeighted) },
        ),
        uniforms: [u32(rows), f32(divisor), f32(eps)],
        workgroups: [rowGroups(rows, layout)],
      },
    ],
  };
}

/** `dx` from `x`, `dy` and, if there is one, `weight`; then `dWeight` too, which is [0] otherwise. */
export function scaleBackward({ shape, divisor, eps, isWeighted, kind = 'rows' }: Scaling): GpuPlan {
  const [rows = 0, width = 0] = shape;
  const layout = rowLayout(width);
  const groups = rowGroups(rows, layout, isWeighted ? MAX_PARTIALS : undefined);
  return {
    outputs: { dx: { shape }, dWeight: { shape: [isWeighted ? width : 0] } },
    // Something must be bound.
    scratch: { partialDWeight: { shape: isWeighted ? [groups, width] : [4] } },
    dispatches: [
      {
        ...kernelOn(
          'RmsNorm backward',
          backwardTexts[kind][layout.pack],
          backwardBuffers(kind, isWeighted ? 'weight' : 'x'),
          { ...layout.constants, isWeighted: Number(isWeighted) },
        ),
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

const backwardPlan = (scaling: Scaling, device: GPUDevice): GpuPlan | string =>
  obstacleToSums(scaling.divisor, Number(scaling.isWeighted), device) ?? scaleBackward(scaling);

export const backward = gpuKernel<BackwardInputs, Attrs>(({ shapes, attrs, device }) =>
  backwardPlan(scalingOf(shapes, attrs), device),
);

export const addForward = gpuKernel<AddInputs, Attrs>(({ shapes, attrs }) =>
  scaleForward({ ...scalingOf(shapes, attrs), kind: 'sums' }),
);

export const addBackward = gpuKernel<AddBackwardInputs, Attrs>(({ shapes, attrs, device }) =>
  backwardPlan({ ...scalingOf(shapes, attrs), kind: 'sums' }, device),
);
