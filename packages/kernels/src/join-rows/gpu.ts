// Joining parts, and splitting a tensor into parts again, on WebGPU: as many in one dispatch as a stage has storage buffers for.
import { sizeOf, type Tensor } from '@mnemix/tensor';
import { gpuKernel } from '../gpu/bridge.ts';
import { u32, type GpuDispatch, type GpuKernel } from '../gpu/kernel.ts';
import { packed, packGroups, packOf } from '../gpu/rows/index.ts';
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
  const sizes = Object.values(parts);
  const pack = packOf(...sizes);
  const most = limits.maxStorageBuffersPerShaderStage - 1;
  const dispatches: GpuDispatch[] = [];
  let start = 0;
  for (let first = 0; first < sizes.length; first += most) {
    const own = sizes.slice(first, first + most).map((size) => size / pack);
    const names = Object.keys(parts).slice(first, first + most);
    dispatches.push({
      kernel: kernelOf(direction, own.length, pack),
      buffers: direction === 'join' ? [...names, whole] : [whole, ...names],
      uniforms: [start, ...own].map(u32),
      workgroups: [packGroups(Math.max(...own)), own.length],
    });
    start += own.reduce((sum, size) => sum + size, 0);
  }
  return dispatches;
}

/** By direction, number of parts and numbers of a pack: writing a module anew takes longer than recording a dispatch. */
const kernels = new Map<string, GpuKernel>();

function kernelOf(direction: Direction, count: number, pack: 1 | 4): GpuKernel {
  const key = `${direction} ${count} ${pack}`;
  const parts = Array.from({ length: count }, () => (direction === 'join' ? 'read' : 'write'));
  const kernel: GpuKernel = kernels.get(key) ?? {
    name: direction === 'join' ? 'JoinRows' : 'SplitRows',
    wgsl: packed(copiesWgsl(direction, count))[pack],
    bindings: direction === 'join' ? [...parts, 'write'] : ['read', ...parts],
  };
  kernels.set(key, kernel);
  return kernel;
}

/** Workgroups of the same y have a part, which lies behind those before it in the whole. */
function copiesWgsl(direction: Direction, count: number): string {
  const isJoin = direction === 'join';
  const numbers = Array.from({ length: count }, (_, i) => i);
  const buffer = (name: string, binding: number, access: string): string =>
    `@group(0) @binding(${binding}) var<storage, ${access}> ${name}: array<Pack>;`;
  const copy = (i: number): string =>
    isJoin ? `whole[at + i] = part${i}[i];` : `part${i}[i] = whole[at + i];`;
  return `
struct Uniforms {
  /** Packs of the whole before these parts, and of each part. */
  start: u32,
${numbers.map((i) => `  size${i}: u32,`).join('\n')}
}

${buffer('whole', isJoin ? count : 0, isJoin ? 'read_write' : 'read')}
${numbers.map((i) => buffer(`part${i}`, isJoin ? i : i + 1, isJoin ? 'read' : 'read_write')).join('\n')}
@group(0) @binding(${count + 1}) var<uniform> sizes: Uniforms;

@compute @workgroup_size(256)
fn main(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let step = groups.x * 256;
  var at = sizes.start;
${numbers
  .map(
    (i) => `  if (group.y == ${i}) {
    for (var i = id.x; i < sizes.size${i}; i += step) {
      ${copy(i)}
    }
  }
  at += sizes.size${i};`,
  )
  .join('\n')}
}`;
}
