// SwiGLU's gate on WebGPU: bindings and dispatches of forward.wgsl and backward.wgsl.
import { sizeOf } from '@mnemix/tensor';
import { gpuKernel } from '../gpu/bridge.ts';
import { u32 } from '../gpu/kernel.ts';
import { packed, packGroups, packOf } from '../gpu/rows/index.ts';
import sigmoidWgsl from '../gpu/rows/sigmoid.wgsl';
import backwardHalvesWgsl from './backward-halves.wgsl';
import backwardWgsl from './backward.wgsl';
import forwardHalvesWgsl from './forward-halves.wgsl';
import forwardWgsl from './forward.wgsl';
import type { BackwardInputs, HalvesBackwardInputs, HalvesInputs, Inputs } from './portable.ts';

const forwardText = packed(sigmoidWgsl, forwardWgsl);
const backwardText = packed(sigmoidWgsl, backwardWgsl);
const forwardHalvesText = packed(sigmoidWgsl, forwardHalvesWgsl);
const backwardHalvesText = packed(sigmoidWgsl, backwardHalvesWgsl);

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

export const forwardHalves = gpuKernel<HalvesInputs, object>(({ shapes: { x } }) => {
  const [rows = 0, columns = 0] = x;
  const width = columns / 2;
  const pack = packOf(width);
  const count = (rows * width) / pack;
  return {
    outputs: { y: { shape: [rows, width] } },
    dispatches: [
      {
        kernel: { name: 'SwiGlu forward', wgsl: forwardHalvesText[pack], bindings: ['read', 'write'] },
        buffers: ['x', 'y'],
        uniforms: [u32(count), u32(width / pack)],
        workgroups: [packGroups(count)],
      },
    ],
  };
});

export const backwardHalves = gpuKernel<HalvesBackwardInputs, object>(({ shapes: { x, dy } }) => {
  const [rows = 0, width = 0] = dy;
  const pack = packOf(width);
  const count = (rows * width) / pack;
  return {
    outputs: { dx: { shape: x } },
    dispatches: [
      {
        kernel: {
          name: 'SwiGlu backward',
          wgsl: backwardHalvesText[pack],
          bindings: ['read', 'read', 'write'],
        },
        buffers: ['x', 'dy', 'dx'],
        uniforms: [u32(count), u32(width / pack)],
        workgroups: [packGroups(count)],
      },
    ],
  };
});
