// AdamW and norms on WebGPU: several tensors a dispatch, as many as the device binds buffers for.
import { sizeOf, type Tensor } from '@mnemix/tensor';
import { gpuKernel } from '../gpu/bridge.ts';
import { f32, u32, type Access, type GpuDispatch, type Uniform } from '../gpu/kernel.ts';
import { packGroups, packOf } from '../gpu/rows/index.ts';
import { sumRows } from '../gpu/sum-rows.ts';
import normsWgsl from './norms.wgsl';
import { CLIP_EPSILON, type Attrs, type Inputs, type NormAttrs, type Settings } from './portable.ts';
import { squaresText, stepBuffers, stepText } from './texts.ts';

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

function memberOf(shape: readonly number[], index: number): Member {
  const pack = packOf(sizeOf(shape));
  return { index, pack, count: sizeOf(shape) / pack };
}

/** The tensors in groups of at most `most`, of one pack and of similar sizes, so that few workgroups find nothing to do. */
function grouped(all: readonly Member[], most: number): Member[][] {
  const members = all.toSorted((a, b) => b.pack - a.pack || b.count - a.count || a.index - b.index);
  const groups: Member[][] = [];
  for (const member of members) {
    const last = groups.at(-1);
    if (last && last.length < most && last[0]?.pack === member.pack) last.push(member);
    else groups.push([member]);
  }
  return groups;
}

/** What one parameter's outputs are called, and which of its inputs each takes over where it may. */
const OUTPUTS = { newParam: 'param', newM: 'm', newV: 'v' } as const;

export const step = gpuKernel<Inputs, Attrs>(
  ({ shapes, attrs: { settings, isInPlace }, device }, isSole) => {
    const isScaled = shapes['gradScale'] !== undefined;
    const members = settings.map((_, i) => memberOf(shapes[`param${i}`] as readonly number[], i));
    const own = Object.values(OUTPUTS);
    const taken = new Set(
      isInPlace ? members.filter(({ index }) => own.every((name) => isSole(`${name}${index}`))) : [],
    );
    const dispatchesOf = (some: readonly Member[], inPlace: boolean): GpuDispatch[] => {
      const { read, written } = stepBuffers(inPlace);
      const buffers = [...read, ...written];
      const most = Math.floor(device.limits.maxStorageBuffersPerShaderStage / buffers.length);
      return grouped(some, most).map((group) => ({
        kernel: {
          name: 'AdamW',
          wgsl: stepText(group.length, { isInPlace: inPlace, isScaled })[(group[0] as Member).pack],
          bindings: [
            ...group.flatMap(() => buffers.map((_, n): Access => (n < read.length ? 'read' : 'write'))),
            ...(isScaled ? (['uniform'] as const) : []),
          ],
        },
        buffers: [
          ...group.flatMap(({ index }) => buffers.map((name) => `${name}${index}`)),
          ...(isScaled ? ['gradScale'] : []),
        ],
        uniformsOfCall: ({ settings: own }: Attrs) =>
          group.flatMap((member) => uniformsOf(member, own[member.index] as Settings)),
        workgroups: [packGroups(Math.max(...group.map(({ count }) => count))), group.length],
      }));
    };
    return {
      outputs: Object.fromEntries(
        members.flatMap((member) =>
          Object.entries(OUTPUTS).map(([name, input]) => {
            const over = `${input}${member.index}`;
            const shape = shapes[over] as readonly number[];
            return [`${name}${member.index}`, taken.has(member) ? { shape, over } : { shape }];
          }),
        ),
      ),
      dispatches: [
        ...dispatchesOf([...taken], true),
        ...dispatchesOf(
          members.filter((member) => !taken.has(member)),
          false,
        ),
      ],
    };
  },
  {
    // The settings change with every step.
    planned: ({ settings, isInPlace }) => [settings.length, isInPlace],
    asksForOwners: ({ isInPlace }) => isInPlace,
  },
);

const uniformsOf = ({ count }: Member, own: Settings): Uniform[] => [
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

export const norms = gpuKernel<Record<string, Tensor>, NormAttrs>(
  ({ shapes, attrs: { clipNorm }, device }) => {
    const names = Object.keys(shapes);
    const groups = grouped(
      Object.values(shapes).map(memberOf),
      device.limits.maxStorageBuffersPerShaderStage - 1,
    );
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
