// Cross-entropy on WebGPU: bindings and dispatches of forward.wgsl, totals.wgsl and backward.wgsl.
import { gpuKernel } from '../gpu/bridge.ts';
import { f32, i32, u32, type GpuKernel } from '../gpu/kernel.ts';
import { MAX_PARTIALS, packedRows, rowGroups, rowLayout } from '../gpu/rows/index.ts';
import backwardWgsl from './backward.wgsl';
import forwardWgsl from './forward.wgsl';
import type { Attrs, BackwardInputs, Inputs } from './portable.ts';
import totalsWgsl from './totals.wgsl';

const forwardText = packedRows(forwardWgsl);
const backwardText = packedRows(backwardWgsl);

const totals: GpuKernel = {
  name: 'CrossEntropy totals',
  wgsl: totalsWgsl,
  bindings: ['read', 'write', 'write', 'write'],
};

export const forward = gpuKernel<Inputs, Attrs>(({ shapes, attrs }) => {
  const [rows = 0, classes = 0] = shapes.logits;
  const layout = rowLayout(classes);
  const groups = rowGroups(rows, layout, MAX_PARTIALS);
  const scalar = { shape: [] };
  return {
    outputs: {
      loss: scalar,
      correct: scalar,
      counted: scalar,
      largest: { shape: [rows] },
      logSum: { shape: [rows] },
    },
    scratch: { partials: { shape: [groups, 4] } },
    dispatches: [
      {
        kernel: {
          name: 'CrossEntropy forward',
          wgsl: forwardText[layout.pack],
          bindings: ['read', 'read', 'write', 'write', 'write'],
          constants: layout.constants,
        },
        buffers: ['logits', 'targets', 'largest', 'logSum', 'partials'],
        uniforms: [u32(rows), i32(classes), i32(attrs.ignoreIndex), f32(NaN)],
        workgroups: [groups],
      },
      {
        kernel: totals,
        buffers: ['partials', 'loss', 'correct', 'counted'],
        uniforms: [u32(groups)],
        workgroups: [1],
      },
    ],
  };
});

export const backward = gpuKernel<BackwardInputs, Attrs>(({ shapes, attrs }) => {
  const [rows = 0, classes = 0] = shapes.logits;
  const layout = rowLayout(classes);
  return {
    outputs: { dLogits: { shape: shapes.logits } },
    dispatches: [
      {
        kernel: {
          name: 'CrossEntropy backward',
          wgsl: backwardText[layout.pack],
          bindings: ['read', 'read', 'read', 'read', 'read', 'read', 'write'],
          constants: layout.constants,
        },
        buffers: ['logits', 'targets', 'largest', 'logSum', 'counted', 'dLoss', 'dLogits'],
        uniforms: [u32(rows), i32(classes), i32(attrs.ignoreIndex)],
        workgroups: [rowGroups(rows, layout)],
      },
    ],
  };
});
