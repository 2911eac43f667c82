// SwiGLU's gate on WebGPU: bindings and dispatches of forward.wgsl and backward.wgsl.
import { sizeOf } from '@mnemix/tensor';
import { gpuKernel } from '../gpu/bridge.ts';
import { u32 } from '../gpu/kernel.ts';
import { packed, packGroups, packOf } from '../gpu/rows/index.ts';
import sigmoidWgsl from '../gpu/rows/sigmoid.wgsl';
import backwardWgsl from './backward.wgsl';
import forwardWgsl from './forward.wgsl';
import type { BackwardInputs, Inputs } from './portable.ts';

const forwardText = packed(sigmoidWgsl, forwardWgsl);
const backwardText = packed(sigmoidWgsl, backwardWgsl);

export const forward = gpuKernel<Inputs, object>(({ shapes: { gate } }) => {
  const pack = packOf(sizeOf(gate));
  const count = sizeOf(gate) / pack;
  return {
    outputs: { y: { shape: gate } },
    dispatches: [
      {
        kernel: { name: 'SwiGlu forward', wgsl: forwardText[pack], bindings: ['read', 'read', 'write'] },
        buffers: ['gate', 'up', 'y'],
        uniforms: [u32(count)],
        workgroups: [packGroups(count)],
      },
    ],
  };
});

export const backward = gpuKernel<BackwardInputs, object>(({ shapes: { gate } }) => {
  const pack = packOf(sizeOf(gate));
  const count = sizeOf(gate) / pack;
  return {
    outputs: { dGate: { shape: gate }, dUp: { shape: gate } },
    dispatches: [
      {
        kernel: {
          name: 'SwiGlu backward',
          wgsl: backwardText[pack],
          bindings: ['read', 'read', 'read', 'write', 'write'],
        },
        buffers: ['gate', 'up', 'dy', 'dGate', 'dUp'],
        uniforms: [u32(count)],
        workgroups: [packGroups(count)],
      },
    ],
  };
});
