// The inverse of the copies' positions on WebGPU: bindings and dispatch of invert.wgsl.
import { gpuKernel } from '../gpu/bridge.ts';
import { u32 } from '../gpu/kernel.ts';
import wgsl from './invert.wgsl';
import type { Inputs } from './invert.ts';

const MAX_GROUPS = 4096;

export const invert = gpuKernel<Inputs, object>(({ shapes }) => {
  const [rows = 0, chosen = 0] = shapes.position;
  const output = { shape: [rows * chosen], dtype: 'int32' } as const;
  return {
    outputs: { source: output, rowBucket: output },
    dispatches: [
      {
        kernel: { name: 'InvertPositions', wgsl, bindings: ['read', 'read', 'read', 'write', 'write'] },
        buffers: ['position', 'bucket', 'total', 'source', 'rowBucket'],
        uniforms: [u32(rows * chosen), u32(chosen)],
        workgroups: [Math.min(MAX_GROUPS, Math.ceil((rows * chosen) / 256))],
      },
    ],
  };
});
