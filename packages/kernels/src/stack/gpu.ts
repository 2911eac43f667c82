// The parts of a stack on WebGPU: as many in one dispatch as a stage has storage buffers for.
import { gpuKernel } from '../gpu/bridge.ts';
import { u32, type GpuDispatch, type GpuKernel } from '../gpu/kernel.ts';
import { packed, packGroups, packOf } from '../gpu/rows/index.ts';
import type { Tensor } from '@mnemix/tensor';

/** By number of parts and numbers of a pack. */
const kernels = new Map<string, GpuKernel>();

function kernelOf(parts: number, pack: 1 | 4): GpuKernel {
  const key = `${parts} ${pack}`;
  const kernel = kernels.get(key) ?? {
    name: 'Unstack',
    wgsl: packed(unstackWgsl(parts))[pack],
    bindings: ['read', ...Array.from({ length: parts }, () => 'write' as const)] as const,
  };
  kernels.set(key, kernel);
  return kernel;
}

/** part0 = x[first], part1 = x[first + 1], … */
function unstackWgsl(parts: number): string {
  const numbers = Array.from({ length: parts }, (_, i) => i);
  return `
struct Uniforms {
  /** Packs of a part. */
  size: u32,
  first: u32,
}

@group(0) @binding(0) var<storage, read> x: array<Pack>;
${numbers.map((i) => `@group(0) @binding(${i + 1}) var<storage, read_write> part${i}: array<Pack>;`).join('\n')}
@group(0) @binding(${parts + 1}) var<uniform> sizes: Uniforms;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < sizes.size; i += groups.x * 256) {
    var at = sizes.first * sizes.size + i;
${numbers.map((i) => `    part${i}[i] = x[at];\n    at += sizes.size;`).join('\n')}
  }
}`;
}

export const unstack = gpuKernel<{ x: Tensor }, object>(({ shapes: { x }, device }) => {
  const [count = 0, ...shape] = x;
  const size = shape.reduce((product, axis) => product * axis, 1);
  const pack = packOf(size);
  const most = device.limits.maxStorageBuffersPerShaderStage - 1;
  const names = Array.from({ length: count }, (_, i) => `part${i}`);
  const dispatches: GpuDispatch[] = [];
  for (let first = 0; first < count; first += most) {
    const parts = names.slice(first, first + most);
    dispatches.push({
      kernel: kernelOf(parts.length, pack),
      buffers: ['x', ...parts],
      uniforms: [u32(size / pack), u32(first)],
      workgroups: [packGroups(size / pack)],
    });
  }
  return { outputs: Object.fromEntries(names.map((name) => [name, { shape }])), dispatches };
});
