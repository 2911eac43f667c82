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
    dispatches: copies('join', parts.map(sizeOf), device),
  };
});

export const splitRows = gpuKernel<{ x: Tensor }, { readonly rows: readonly number[] }>(
  ({ shapes, attrs: { rows }, device }) => {
    // An empty tensor cannot be bound.
    if (rows.includes(0)) return undefined;
    const parts = rows.map((own) => [own, ...shapes.x.slice(1)]);
    return {
      outputs: Object.fromEntries(parts.map((shape, i) => [nameOf(i), { shape }])),
      dispatches: copies('split', parts.map(sizeOf), device),
    };
  },
);

function copies(direction: Direction, sizes: readonly number[], { limits }: GPUDevice): GpuDispatch[] {
  const pack = packOf(...sizes);
  const most = limits.maxStorageBuffersPerShaderStage - 1;
  const dispatches: GpuDispatch[] = [];
  let start = 0;
  for (let first = 0; first < sizes.length; first += most) {
    const own = sizes.slice(first, first + most).map((size) => size / pack);
    const names = own.map((_, i) => nameOf(first + i));
    dispatches.push({
      kernel: kernelOf(direction, own.length, pack),
      buffers: direction === 'join' ? [...names, 'y'] : ['x', ...names],
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
