// The log-decay gate on WebGPU: one dispatch forward; backward one, and one that adds up the parts of the parameters' gradients.
import { gpuKernel } from '../gpu/bridge.ts';
import { u32 } from '../gpu/kernel.ts';
import { INVOCATIONS, packGroups } from '../gpu/rows/index.ts';
import { sumRowsApart } from '../gpu/sum-rows-apart.ts';
import backwardWgsl from './backward.wgsl';
import forwardWgsl from './forward.wgsl';
import type { BackwardInputs, Inputs } from './portable.ts';
import softplusWgsl from './softplus.wgsl';

const forwardText = [softplusWgsl, forwardWgsl].join('\n');
const backwardText = [softplusWgsl, backwardWgsl].join('\n');
/** Workgroups backward, each of which leaves a part: what fills a device with few numbers to a row. */
const MOST_PARTS = 256;

export const forward = gpuKernel<Inputs, object>(({ shapes }) => {
  const [rows = 0, heads = 0] = shapes.a;
  return {
    outputs: { g: { shape: shapes.a } },
    dispatches: [
      {
        kernel: {
          name: 'LogDecayGate forward',
          wgsl: forwardText,
          bindings: ['read', 'read', 'read', 'write'],
        },
        buffers: ['a', 'aLog', 'dtBias', 'g'],
        uniforms: [u32(rows * heads), u32(heads)],
        workgroups: [packGroups(rows * heads)],
      },
    ],
  };
});

export const backward = gpuKernel<BackwardInputs, object>(({ shapes }) => {
  const [rows = 0, heads = 0] = shapes.a;
  const lanes = Math.min(INVOCATIONS, 2 ** Math.ceil(Math.log2(heads)));
  const slots = INVOCATIONS / lanes;
  const parts = Math.min(MOST_PARTS, Math.ceil(rows / slots));
  return {
    outputs: { dA: { shape: shapes.a }, dALog: { shape: [heads] }, dDtBias: { shape: [heads] } },
    scratch: { partials: { shape: [parts, 2 * heads] } },
    dispatches: [
      {
        kernel: {
          name: 'LogDecayGate backward',
          wgsl: backwardText,
          bindings: ['read', 'read', 'read', 'read', 'write', 'write'],
          constants: { lanes, slots },
        },
        buffers: ['a', 'aLog', 'dtBias', 'dg', 'dA', 'partials'],
        uniforms: [u32(rows), u32(heads)],
        workgroups: [parts, Math.ceil(heads / lanes)],
      },
      sumRowsApart('partials', ['dALog', heads], ['dDtBias', heads], parts),
    ],
  };
});
