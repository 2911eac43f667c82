// The columns of a matrix, in tensors of their own. The product itself does not write to several buffers: with a choice at every
// write the compiler no longer keeps its sums in registers, and it takes fifteen times as long (docs/kernels.md).
import { u32, type GpuDispatch, type GpuKernel } from '../gpu/kernel.ts';
import { packed, packGroups, packOf } from '../gpu/rows/index.ts';

/** Of the tensor with the columns of map i. */
export const nameOf = (i: number): string => `y${i}`;

/** `y0`, `y1`, … [rows, width] of y [rows, sum of the widths]. */
export function splitColumns(rows: number, widths: readonly number[]): GpuDispatch {
  const pack = packOf(...widths);
  const packs = widths.map((width) => width / pack);
  const columns = packs.reduce((sum, width) => sum + width, 0);
  return {
    kernel: kernelOf(widths.length, pack),
    buffers: ['y', ...widths.map((_, i) => nameOf(i))],
    uniforms: [rows * columns, columns, ...packs].map(u32),
    workgroups: [packGroups(rows * columns)],
  };
}

/** By number of parts and numbers of a pack: writing a module anew takes longer than recording a dispatch. */
const kernels = new Map<string, GpuKernel>();

function kernelOf(count: number, pack: 1 | 4): GpuKernel {
  const key = `${count} ${pack}`;
  const kernel: GpuKernel = kernels.get(key) ?? {
    name: 'SplitColumns',
    wgsl: packed(textOf(count))[pack],
    bindings: ['read', ...Array.from({ length: count }, () => 'write' as const)],
  };
  kernels.set(key, kernel);
  return kernel;
}

function textOf(count: number): string {
  const parts = Array.from({ length: count }, (_, i) => i);
  const buffer = (name: string, binding: number, access: string): string =>
    `@group(0) @binding(${binding}) var<storage, ${access}> ${name}: array<Pack>;`;
  return `
struct Uniforms {
  /** Packs of the whole, and of its rows. */
  total: u32,
  columns: u32,
${parts.map((i) => `  width${i}: u32,`).join('\n')}
}

${buffer('whole', 0, 'read')}
${parts.map((i) => buffer(`part${i}`, i + 1, 'read_write')).join('\n')}
@group(0) @binding(${count + 1}) var<uniform> sizes: Uniforms;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < sizes.total; i += groups.x * 256) {
    let value = whole[i];
    let row = i / sizes.columns;
    // Counted from each part's first; behind its last one it wraps around to very large numbers.
    var column = i % sizes.columns;
${parts
  .map(
    (i) => `    if (column < sizes.width${i}) {
      part${i}[row * sizes.width${i} + column] = value;
    }
    column -= sizes.width${i};`,
  )
  .join('\n')}
  }
}`;
}
