// AdamW and norms on WebGPU: several tensors a dispatch, as many as the device binds buffers for.
import { sizeOf, type Tensor } from '@mnemix/tensor';
import { gpuKernel } from '../gpu/bridge.ts';
import { f32, u32, type Access, type GpuDispatch } from '../gpu/kernel.ts';
import { packGroups, packOf } from '../gpu/rows/index.ts';
import { sumRows } from '../gpu/sum-rows.ts';
import normsWgsl from './norms.wgsl';
import { CLIP_EPSILON, type Attrs, type Inputs, type NormAttrs } from './portable.ts';
import { squaresText, stepText } from './texts.ts';

/** Buffers of one tensor in a step: param, grad, m, v, and the new param, m, v. */
const STEP_BUFFERS = 7;
/** Parts of a sum of squares at most. */
const MAX_PARTS = 512;
/** Packs of a part at least. */
const PART = 1024;

interface Member {
  /** Its place among the tensors. */
  readonly index: number;
  readonly pack: 1 | 4;
  /** Packs that it has. */
  readonly count: number;
}

/** The tensors in groups of at most `most`, of one pack and of similar sizes, so that few workgroups find nothing to do. */
function grouped(shapes: readonly (readonly number[])[], most: number): Member[][] {
  const members = shapes.map((shape, index) => {
    const pack = packOf(sizeOf(shape));
    return { index, pack, count: sizeOf(shape) / pack };
  });
  members.sort((a, b) => b.pack - a.pack || b.count - a.count || a.index - b.index);
  const groups: Member[][] = [];
  for (const member of members) {
    const last = groups.at(-1);
    if (last && last.length < most && last[0]?.pack === member.pack) last.push(member);
    else groups.push([member]);
  }
  return groups;
}

export const step = gpuKernel<Inputs, Attrs>(({ shapes, attrs: { settings }, device }) => {
  const isScaled = shapes['gradScale'] !== undefined;
  const most = Math.floor((device.limits.maxStorageBuffersPerShaderStage - Number(isScaled)) / STEP_BUFFERS);
  if (most < 1) return undefined;
  const shapeOf = (i: number) => shapes[`param${i}`] as readonly number[];
  const stepOf = (members: readonly Member[]): GpuDispatch => ({
    kernel: {
      name: 'AdamW',
      wgsl: stepText(members.length, isScaled)[(members[0] as Member).pack],
      bindings: [
        ...members.flatMap(() => [...Array<Access>(4).fill('read'), ...Array<Access>(3).fill('write')]),
        ...(isScaled ? (['read'] as const) : []),
      ],
    },
    buffers: [
      ...members.flatMap(({ index: i }) => [
        `param${i}`,
        `grad${i}`,
        `m${i}`,
        `v${i}`,
        `newParam${i}`,
        `newM${i}`,
        `newV${i}`,
      ]),
      ...(isScaled ? ['gradScale'] : []),
    ],
    uniforms: members.flatMap(({ index, count }) => {
      const own = settings[index] as Attrs['settings'][number];
      return [
        u32(count),
        f32(own.gradFactor),
        f32(own.beta1),
        f32(own.beta2),
        f32(1 - own.beta1),
        f32(1 - own.beta2),
        f32(own.keep),
        f32(own.stepSize),
        f32(own.rootScale),
        f32(own.epsilon),
        // Up to the next multiple of 16 bytes.
        u32(0),
        u32(0),
      ];
    }),
    workgroups: [packGroups(Math.max(...members.map(({ count }) => count))), members.length],
  });
  return {
    outputs: Object.fromEntries(
      settings.flatMap((_, i) =>
        ['newParam', 'newM', 'newV'].map((name) => [`${name}${i}`, { shape: shapeOf(i) }]),
      ),
    ),
    dispatches: grouped(
      settings.map((_, i) => shapeOf(i)),
      most,
    ).map(stepOf),
  };
});

export const norms = gpuKernel<Record<string, Tensor>, NormAttrs>(
  ({ shapes, attrs: { clipNorm }, device }) => {
    const names = Object.keys(shapes);
    const groups = grouped(Object.values(shapes), device.limits.maxStorageBuffersPerShaderStage - 1);
    const partsOf = (members: readonly Member[]): number =>
      Math.min(MAX_PARTS, Math.ceil(Math.max(...members.map(({ count }) => count)) / PART));
    const rows = Math.max(...groups.map(partsOf));
    const scalar = { shape: [] };
    return {
      outputs: { norms: { shape: [names.length] }, norm: scalar, clipFactor: scalar },
      scratch: { partials: { shape: [rows, names.length] }, squares: { shape: [names.length] } },
      dispatches: [
        ...groups.map((members): GpuDispatch => ({
          kernel: {
            name: 'GlobalNorm squares',
            wgsl: squaresText(members.length)[(members[0] as Member).pack],
            bindings: [...members.map((): Access => 'read'), 'write'],
          },
          buffers: [...members.map(({ index }) => names[index] as string), 'partials'],
          uniforms: [
            u32(names.length),
            u32(rows),
            ...members.flatMap(({ index, count }) => [u32(count), u32(index)]),
          ],
          workgroups: [partsOf(members), members.length],
        })),
        sumRows('partials', 'squares', rows, names.length),
        {
          kernel: { name: 'GlobalNorm', wgsl: normsWgsl, bindings: ['read', 'write', 'write', 'write'] },
          buffers: ['squares', 'norms', 'norm', 'clipFactor'],
          uniforms: [u32(names.length), f32(clipNorm), f32(CLIP_EPSILON)],
          workgroups: [1],
        },
      ],
    };
  },
);
