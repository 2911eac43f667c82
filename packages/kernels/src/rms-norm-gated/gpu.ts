// Gated RMSNorm on WebGPU: bindings and dispatches of forward.wgsl and backward.wgsl.
import { gpuKernel } from '../gpu/bridge.ts';
import { f32, u32 } from '../gpu/kernel.ts';
import { sumRows } from '../gpu/sum-rows.ts';
import backwardWgsl from './backward.wgsl';
import forwardWgsl from './forward.wgsl';
import type { Attrs, BackwardInputs, Inputs } from './portable.ts';

const INVOCATIONS = 256;
/** More workgroups than any device runs at once; each takes further rows in turn. */
const MAX_GROUPS = 4096;
/** Fewer backward, where each leaves a partial sum of the weight's gradient. */
const MAX_PARTIALS = 512;

export const forward = gpuKernel<Inputs, Attrs>(({ shapes, attrs }) => {
  const [rows = 0, width = 0] = shapes.x;
  const { lanes, slots } = share(width);
  return {
    outputs: { y: { shape: shapes.x } },
    dispatches: [
      {
        kernel: {
          name: 'RmsNormGated forward',
          wgsl: forwardWgsl,
          bindings: ['read', 'read', 'read', 'write'],
          constants: { lanes, slots, isSilu: Number(attrs.activation === 'silu') },
        },
        buffers: ['x', 'gate', 'weight', 'y'],
        uniforms: [u32(rows), u32(width), f32(attrs.eps)],
        workgroups: [Math.min(MAX_GROUPS, Math.ceil(rows / slots))],
      },
    ],
  };
});

export const backward = gpuKernel<BackwardInputs, Attrs>(({ shapes, attrs, device }) => {
  const [rows = 0, width = 0] = shapes.x;
  const { lanes, slots } = share(width);
  const workgroupBytes = 8 * lanes * slots + 4 * slots * width;
  if (workgroupBytes > device.limits.maxComputeWorkgroupStorageSize) return undefined;
  const groups = Math.min(MAX_PARTIALS, Math.ceil(rows / slots));
  return {
    outputs: { dx: { shape: shapes.x }, dGate: { shape: shapes.x }, dWeight: { shape: [width] } },
    scratch: { partialDWeight: { shape: [groups, width] } },
    dispatches: [
      {
        kernel: {
          name: 'RmsNormGated backward',
          wgsl: backwardWgsl,
          bindings: ['read', 'read', 'read', 'read', 'write', 'write', 'write'],
          constants: { lanes, slots, width, isSilu: Number(attrs.activation === 'silu') },
        },
        buffers: ['x', 'gate', 'weight', 'dy', 'dx', 'dGate', 'partialDWeight'],
        uniforms: [u32(rows), f32(attrs.eps)],
        workgroups: [groups],
      },
      sumRows('partialDWeight', 'dWeight', groups, width),
    ],
  };
});

/**
 * How a workgroup's invocations are shared out: `lanes` to a row, about four columns each, `slots` rows at a
 * time.
 */
function share(width: number): { lanes: number; slots: number } {
  const lanes = Math.min(INVOCATIONS, 2 ** Math.ceil(Math.log2(Math.max(1, width / 4))));
  return { lanes, slots: INVOCATIONS / lanes };
}
