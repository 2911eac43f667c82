// Gated RMSNorm on WebGPU: bindings and dispatches of forward.wgsl and backward.wgsl.
import { gpuKernel } from '../gpu/bridge.ts';
import { f32, u32 } from '../gpu/kernel.ts';
import { MAX_PARTIALS, obstacleToSums, packedRows, rowGroups, rowLayout } from '../gpu/rows/index.ts';
import sigmoidWgsl from '../gpu/rows/sigmoid.wgsl';
import { sumRows } from '../gpu/sum-rows.ts';
import backwardWgsl from './backward.wgsl';
import forwardWgsl from './forward.wgsl';
import type { Attrs, BackwardInputs, Inputs } from './portable.ts';

const forwardText = packedRows(sigmoidWgsl, forwardWgsl);
const backwardText = packedRows(sigmoidWgsl, backwardWgsl);

export const forward = gpuKernel<Inputs, Attrs>(({ shapes, attrs }) => {
  const [rows = 0, width = 0] = shapes.x;
  const layout = rowLayout(width);
  return {
    outputs: { y: { shape: shapes.x } },
    dispatches: [
      {
        kernel: {
          name: 'RmsNormGated forward',
          wgsl: forwardText[layout.pack],
          bindings: ['read', 'read', 'read', 'write'],
          constants: { ...layout.constants, isSilu: Number(attrs.activation === 'silu') },
        },
        buffers: ['x', 'gate', 'weight', 'y'],
        uniforms: [u32(rows), f32(width), f32(attrs.eps)],
        workgroups: [rowGroups(rows, layout)],
      },
    ],
  };
});

export const backward = gpuKernel<BackwardInputs, Attrs>(({ shapes, attrs, device }) => {
  const [rows = 0, width = 0] = shapes.x;
  const layout = rowLayout(width);
  const obstacle = obstacleToSums(width, 1, device);
  if (obstacle !== undefined) return obstacle;
  const groups = rowGroups(rows, layout, MAX_PARTIALS);
  return {
    outputs: { dx: { shape: shapes.x }, dGate: { shape: shapes.x }, dWeight: { shape: [width] } },
    scratch: { partialDWeight: { shape: [groups, width] } },
    dispatches: [
      {
        kernel: {
          name: 'RmsNormGated backward',
          wgsl: backwardText[layout.pack],
          bindings: ['read', 'read', 'read', 'read', 'write', 'write', 'write'],
          constants: { ...layout.constants, isSilu: Number(attrs.activation === 'silu') },
        },
        buffers: ['x', 'gate', 'weight', 'dy', 'dx', 'dGate', 'partialDWeight'],
        uniforms: [u32(rows), f32(width), f32(attrs.eps)],
        workgroups: [groups],
      },
      sumRows('partialDWeight', 'dWeight', groups, width),
    ],
  };
});
