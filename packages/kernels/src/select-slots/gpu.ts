// The choice of slots on WebGPU: bindings and dispatch of select-slots.wgsl.
import { gpuKernel } from '../gpu/bridge.ts';
import { u32 } from '../gpu/kernel.ts';
import type { Attrs, Inputs } from './portable.ts';
import wgsl from './select-slots.wgsl';

/** Tokens that select-slots.wgsl ranks at a time. */
const AT_ONCE = 128;

export const forward = gpuKernel<Inputs, Attrs>(({ shapes, attrs, device }) => {
  const { slots, block } = attrs;
  const [count = 0, tokens = 0] = shapes.scores;
  if (16 * slots + 4 * AT_ONCE > device.limits.maxComputeWorkgroupStorageSize) {
    return `${slots} slots are more than workgroup memory holds`;
  }
  const shape = [count, tokens / block, slots];
  return {
    outputs: { ids: { shape, dtype: 'int32' }, best: { shape } },
    dispatches: [
      {
        kernel: {
          name: 'SelectSlots',
          wgsl,
          bindings: ['read', 'read', 'write', 'write'],
          constants: { slots },
        },
        // What was not held is not read, but something must be bound.
        buffers: ['scores', shapes.held ? 'held' : 'scores', 'ids', 'best'],
        uniforms: [u32(tokens), u32(block), u32(shapes.held?.[1] ?? 0)],
        workgroups: [count],
      },
    ],
  };
});
