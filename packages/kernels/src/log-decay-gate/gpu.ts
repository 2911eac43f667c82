// The log-decay gate on WebGPU: one dispatch forward; backward one, and one that adds up the parts of the parameters' gradients.
import { gpuKernel } from '../gpu/bridge.ts';
import { u32, type GpuPlan } from '../gpu/kernel.ts';
import { INVOCATIONS, packGroups } from '../gpu/rows/index.ts';
import { sumRowsApart } from '../gpu/sum-rows.ts';
import backwardAloneWgsl from './backward-alone.wgsl';
import backwardPairWgsl from './backward-pair.wgsl';
import backwardWgsl from './backward.wgsl';
import forwardAloneWgsl from './forward-alone.wgsl';
import forwardPairWgsl from './forward-pair.wgsl';
import forwardWgsl from './forward.wgsl';
import type { BackwardInputs, Inputs, PairAttrs, PairBackwardInputs, PairInputs } from './portable.ts';
import softplusWgsl from './softplus.wgsl';

const forwardTexts = {
  alone: [softplusWgsl, forwardAloneWgsl, forwardWgsl].join('\n'),
  pair: [softplusWgsl, forwardPairWgsl, forwardWgsl].join('\n'),
};
const backwardTexts = {
  alone: [softplusWgsl, backwardAloneWgsl, backwardWgsl].join('\n'),
  pair: [softplusWgsl, backwardPairWgsl, backwardWgsl].join('\n'),
};
/** Workgroups backward, each of which leaves a part: what fills a device with few numbers to a row. */
const MOST_PARTS = 256;
/** Storage buffers of the stage that has the most. */
const MOST_BUFFERS = 9;

export const forward = gpuKernel<Inputs, object>(({ shapes }) => forwardPlan(shapes.a));

export const pairForward = gpuKernel<PairInputs, PairAttrs>(({ shapes, attrs: { strongest } }) =>
  forwardPlan(shapes.a, strongest),
);

export const backward = gpuKernel<BackwardInputs, object>(({ shapes }) => backwardPlan(shapes.a));

export const pairBackward = gpuKernel<PairBackwardInputs, PairAttrs>(({ shapes, attrs, device }) =>
  device.limits.maxStorageBuffersPerShaderStage < MOST_BUFFERS
    ? undefined
    : backwardPlan(shapes.a, attrs.strongest),
);

/** @param strongest of β, where it is made alongside */
function forwardPlan(shape: readonly number[], strongest?: number): GpuPlan {
  const [rows = 0, heads = 0] = shape;
  const isPair = strongest !== undefined;
  return {
    outputs: { g: { shape }, ...(isPair ? { beta: { shape } } : {}) },
    dispatches: [
      {
        kernel: {
          name: 'LogDecayGate forward',
          wgsl: forwardTexts[isPair ? 'pair' : 'alone'],
          bindings: isPair
            ? ['read', 'read', 'read', 'read', 'write', 'write']
            : ['read', 'read', 'read', 'write'],
          constants: isPair ? { strongest } : {},
        },
        buffers: ['a', 'aLog', 'dtBias', ...(isPair ? ['b', 'g', 'beta'] : ['g'])],
        uniforms: [u32(rows * heads), u32(heads)],
        workgroups: [packGroups(rows * heads)],
      },
    ],
  };
}

function backwardPlan(shape: readonly number[], strongest?: number): GpuPlan {
  const [rows = 0, heads = 0] = shape;
  const isPair = strongest !== undefined;
  const lanes = Math.min(INVOCATIONS, 2 ** Math.ceil(Math.log2(heads)));
  const slots = INVOCATIONS / lanes;
  const parts = Math.min(MOST_PARTS, Math.ceil(rows / slots));
  return {
    outputs: {
      dA: { shape },
      dALog: { shape: [heads] },
      dDtBias: { shape: [heads] },
      ...(isPair ? { dB: { shape } } : {}),
    },
    scratch: { partials: { shape: [parts, 2 * heads] } },
    dispatches: [
      {
        kernel: {
          name: 'LogDecayGate backward',
          wgsl: backwardTexts[isPair ? 'pair' : 'alone'],
          bindings: isPair
            ? ['read', 'read', 'read', 'read', 'read', 'read', 'write', 'write', 'write']
            : ['read', 'read', 'read', 'read', 'write', 'write'],
          constants: { lanes, slots, ...(isPair ? { strongest } : {}) },
        },
        buffers: isPair
          ? ['a', 'aLog', 'dtBias', 'beta', 'dg', 'dBeta', 'dA', 'dB', 'partials']
          : ['a', 'aLog', 'dtBias', 'dg', 'dA', 'partials'],
        uniforms: [u32(rows), u32(heads)],
        workgroups: [parts, Math.ceil(heads / lanes)],
      },
      sumRowsApart(
        'partials',
        [
          ['dALog', heads],
          ['dDtBias', heads],
        ],
        parts,
      ),
    ],
  };
}
