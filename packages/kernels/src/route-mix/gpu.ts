// Gathering and mixing of bucket rows on WebGPU, one dispatch each. All are gathers, also backward, so that no sum depends on an order.
import { gpuKernel } from '../gpu/bridge.ts';
import { u32, type GpuPlan } from '../gpu/kernel.ts';
import { packed, packedRows, packGroups, packOf, rowGroups, rowLayout } from '../gpu/rows/index.ts';
import gatherWgsl from './gather.wgsl';
import mixBackwardWgsl from './mix-backward.wgsl';
import mixWgsl from './mix.wgsl';
import type { GatherInputs, MixBackwardInputs, MixInputs, SumInputs } from './portable.ts';

const gatherText = packed(gatherWgsl);
const mixText = packed(mixWgsl);
const mixBackwardText = packedRows(mixBackwardWgsl);

export const gather = gpuKernel<GatherInputs, object>(({ shapes: { x, source } }) => {
  const [copies = 0] = source;
  const width = x[1] as number;
  const pack = packOf(width);
  const packs = width / pack;
  return {
    outputs: { y: { shape: [copies, width] } },
    dispatches: [
      {
        kernel: { name: 'RouteGather', wgsl: gatherText[pack], bindings: ['read', 'read', 'write'] },
        buffers: ['x', 'source', 'y'],
        uniforms: [u32(copies * packs), u32(packs)],
        workgroups: [packGroups(copies * packs)],
      },
    ],
  };
});

export const sumCopies = gpuKernel<SumInputs, object>(({ shapes }) => sumPlan(shapes));
export const mix = gpuKernel<MixInputs, object>(({ shapes }) => sumPlan(shapes));

function sumPlan({ o, position, weights }: Shapes): GpuPlan {
  const [rows = 0, chosen = 0] = position;
  const width = o[1] as number;
  const pack = packOf(width);
  const packs = width / pack;
  return {
    outputs: { y: { shape: [rows, width] } },
    dispatches: [
      {
        kernel: {
          name: weights ? 'RouteMix' : 'RouteSum',
          wgsl: mixText[pack],
          bindings: ['read', 'read', 'read', 'write'],
        },
        // Without weights nothing reads them, but something must be bound.
        buffers: ['o', weights ? 'weights' : 'o', 'position', 'y'],
        uniforms: [rows * packs, packs, chosen, weights?.[1] ?? 0].map(u32),
        workgroups: [packGroups(rows * packs)],
      },
    ],
  };
}

interface Shapes {
  readonly o: readonly number[];
  readonly position: readonly number[];
  readonly weights?: readonly number[];
}

export const mixBackward = gpuKernel<MixBackwardInputs, object>(({ shapes: { o, position, weights } }) => {
  const [rows = 0, chosen = 0] = position;
  const layout = rowLayout(o[1] as number);
  return {
    outputs: { dO: { shape: o }, dWeights: { shape: weights } },
    dispatches: [
      {
        kernel: {
          name: 'RouteMix backward',
          wgsl: mixBackwardText[layout.pack],
          bindings: ['read', 'read', 'read', 'read', 'read', 'write', 'write'],
          constants: layout.constants,
        },
        buffers: ['o', 'weights', 'source', 'position', 'dy', 'dO', 'dWeights'],
        uniforms: [rows, chosen, weights[1] as number].map(u32),
        workgroups: [rowGroups(rows, layout)],
      },
    ],
  };
});
