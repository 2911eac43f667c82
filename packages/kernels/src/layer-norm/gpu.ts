// LayerNorm on WebGPU: bindings and dispatches of forward.wgsl and backward.wgsl.
import { gpuKernel } from '../gpu/bridge.ts';
import { f32, u32 } from '../gpu/kernel.ts';
import { MAX_PARTIALS, obstacleToSums, packedRows, rowGroups, rowLayout } from '../gpu/rows/index.ts';
import { sumRows, sumRowsApart } from '../gpu/sum-rows.ts';
import backwardWgsl from './backward.wgsl';
import forwardWgsl from './forward.wgsl';
import type { Attrs, BackwardInputs, Inputs } from './portable.ts';

const forwardText = packedRows(forwardWgsl);
const backwardText = packedRows(backwardWgsl);

export const forward = gpuKernel<Inputs, Attrs>(({ shapes, attrs: { eps, period } }) => {
  const [rows = 0, width = 0] = shapes.x;
  const layout = rowLayout(width);
  const [isWeighted, isBiased] = [shapes.weight !== undefined, shapes.bias !== undefined];
  return {
    outputs: { y: { shape: shapes.x } },
    dispatches: [
      {
        kernel: {
          name: 'LayerNorm forward',
          wgsl: forwardText[layout.pack],
          bindings: ['read', 'read', 'read', 'write'],
          constants: { ...layout.constants, isWeighted: Number(isWeighted), isBiased: Number(isBiased) },
        },
        buffers: ['x', isWeighted ? 'weight' : 'x', isBiased ? 'bias' : 'x', 'y'],
        uniforms: [u32(rows), u32(period), f32(width), f32(eps)],
        workgroups: [rowGroups(rows, layout)],
      },
    ],
  };
});

export const backward = gpuKernel<BackwardInputs, Attrs>(({ shapes, attrs: { eps, period }, device }) => {
  const [rows = 0, width = 0] = shapes.x;
  const layout = rowLayout(width);
  const { weight, bias } = shapes;
  const summed = Number(weight !== undefined) + Number(bias !== undefined);
  const periods = rows / period;
  const parts = rowGroups(periods, layout, Math.max(1, Math.floor(MAX_PARTIALS / period)));
  const obstacle = obstacleToSums(width, summed, device);
  if (obstacle !== undefined) return obstacle;
  const none = { shape: [0] };
  const affine = period * width;
  /** A part of dw before one of db. */
  const sums =
    summed === 2
      ? sumRowsApart(
          'partials',
          [
            ['dWeight', affine],
            ['dBias', affine],
          ],
          parts,
        )
      : sumRows('partials', weight ? 'dWeight' : 'dBias', parts, affine);
  return {
    outputs: {
      dx: { shape: shapes.x },
      dWeight: weight ? { shape: weight } : none,
      dBias: bias ? { shape: bias } : none,
    },
    // Something must be bound.
    scratch: { partials: { shape: summed === 0 ? [4] : [parts, summed * affine] } },
    dispatches: [
      {
        kernel: {
          name: 'LayerNorm backward',
          wgsl: backwardText[layout.pack],
          bindings: ['read', 'read', 'read', 'write', 'write'],
          constants: {
            ...layout.constants,
            isWeighted: Number(weight !== undefined),
            isBiased: Number(bias !== undefined),
          },
        },
        buffers: ['x', weight ? 'weight' : 'x', 'dy', 'dx', 'partials'],
        uniforms: [u32(periods), u32(period), f32(width), f32(eps)],
        workgroups: [parts * period],
      },
      ...(summed > 0 ? [sums] : []),
    ],
  };
});
