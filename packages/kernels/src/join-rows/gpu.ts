// Joining parts, and splitting a tensor into parts again, on WebGPU: as many in one dispatch as a stage has storage buffers for.
import { sizeOf, type Tensor } from '@mnemix/tensor';
import { gpuKernel } from '../gpu/bridge.ts';
import type { Access, GpuDispatch, GpuKernel } from '../gpu/kernel.ts';
import { kernelOf } from '../gpu/kernel-of.ts';
import { INVOCATIONS, packed, packOf } from '../gpu/rows/index.ts';
import {
  PACKS_AT_ONCE,
  readPacks,
  shareOut,
  spanFields,
  spansWgsl,
  switchWgsl,
  writePacks,
} from '../gpu/rows/shares.ts';
import { nameOf, type Parts } from './parts.ts';

type Direction = 'join' | 'split';

export const joinRows = gpuKernel<Parts, object>(({ shapes, device }) => {
  const parts = Object.values(shapes);
  const rows = parts.reduce((sum, [own = 0]) => sum + own, 0);
  return {
    outputs: { y: { shape: [rows, ...(parts[0] as readonly number[]).slice(1)] } },
    dispatches: copies('join', 'y', sizesOf(shapes), device),
  };
});

export const splitRows = gpuKernel<{ x: Tensor }, { readonly rows: readonly number[] }>(
  ({ shapes, attrs: { rows }, device }) => {
    // An empty tensor cannot be bound.
    if (rows.includes(0)) return undefined;
    const parts = Object.fromEntries(rows.map((own, i) => [nameOf(i), [own, ...shapes.x.slice(1)]]));
    return {
      outputs: Object.fromEntries(Object.entries(parts).map(([name, shape]) => [name, { shape }])),
      dispatches: splitInto('x', sizesOf(parts), device),
    };
  },
);

/** The numbers of each tensor, by its name, in order. */
type Sizes = Readonly<Record<string, number>>;

const sizesOf = (shapes: Readonly<Record<string, readonly number[]>>): Sizes =>
  Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, sizeOf(shape)]));

/** The numbers of `whole`, one behind the other, to each of the parts. */
export const splitInto = (whole: string, parts: Sizes, device: GPUDevice): GpuDispatch[] =>
  copies('split', whole, parts, device);

function copies(direction: Direction, whole: string, parts: Sizes, { limits }: GPUDevice): GpuDispatch[] {
  const pack = packOf(...Object.values(parts));
  const most = limits.maxStorageBuffersPerShaderStage - 1;
  let next = 0;
  const spans = Object.entries(parts).map(([name, numbers]) => {
    const size = numbers / pack;
    const start = next;
    next += size;
    return { name, size, start };
  });
  const dispatches: GpuDispatch[] = [];
  for (let first = 0; first < spans.length; first += most) {
    const own = spans.slice(first, first + most);
    const names = own.map(({ name }) => name);
    dispatches.push({
      kernel: kernelOf(copyKernel, { direction, count: own.length, pack }),
      buffers: direction === 'join' ? [...names, whole] : [whole, ...names],
      ...shareOut(own),
    });
  }
  return dispatches;
}

interface Variant {
  readonly direction: Direction;
  /** Of the parts. */
  readonly count: number;
  /** Numbers of a pack. */
  readonly pack: 1 | 4;
}

function copyKernel({ direction, count, pack }: Variant): GpuKernel {
  const parts = Array.from({ length: count }, () => (direction === 'join' ? 'read' : 'write') as Access);
  return {
    name: direction === 'join' ? 'JoinRows' : 'SplitRows',
    wgsl: packed(copiesWgsl(direction, count))[pack],
    bindings: direction === 'join' ? [...parts, 'write'] : ['read', ...parts],
  };
}

function copiesWgsl(direction: Direction, count: number): string {
  const isJoin = direction === 'join';
  const numbers = Array.from({ length: count }, (_, i) => i);
  const buffer = (name: string, binding: number, access: string): string =>
    `@group(0) @binding(${binding}) var<storage, ${access}> ${name}: array<Pack>;`;
  const copy = isJoin
    ? `var packs: Packs;
    ${switchWgsl('tensor', count, (i) => `packs = ${readPacks(`part${i}`, 'i')};`)}
    ${writePacks('whole', 'own.start + i', 'end - i', 'packs')}`
    : `let packs = ${readPacks('whole', 'own.start + i')};
    ${switchWgsl('tensor', count, (i) => writePacks(`part${i}`, 'i', 'end - i', 'packs'))}`;
  return `
struct Uniforms { ${spanFields} }

${buffer('whole', isJoin ? count : 0, isJoin ? 'read_write' : 'read')}
${numbers.map((i) => buffer(`part${i}`, isJoin ? i : i + 1, isJoin ? 'read' : 'read_write')).join('\n')}
@group(0) @binding(${count + 1}) var<uniform> sizes: Uniforms;

${spansWgsl(count)}

@compute @workgroup_size(${INVOCATIONS})
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let tensor = tensorOf(group.x);
  let own = sizes.spans[tensor];
  let begin = (group.x - own.workgroup) * sizes.share;
  let end = min(own.size, begin + sizes.share);
  for (var i = begin + local; i < end; i += ${PACKS_AT_ONCE}) {
    ${copy}
  }
}`;
}
