// The columns of a matrix, in tensors of their own, and back: where a product does not write or read them so.
import { u32, type GpuDispatch, type GpuKernel } from '../gpu/kernel.ts';
import { kernelOf } from '../gpu/kernel-of.ts';
import { packed, packGroups, packOf } from '../gpu/rows/index.ts';

/** Of the tensor with the columns of map i. */
export const nameOf = (i: number): string => `y${i}`;

type Direction = 'split' | 'join';

/** Between `y0`, `y1`, … [rows, width] and y [rows, sum of the widths]. */
export function moveColumns(direction: Direction, rows: number, widths: readonly number[]): GpuDispatch {
  const pack = packOf(...widths);
  const packs = widths.map((width) => width / pack);
  const columns = packs.reduce((sum, width) => sum + width, 0);
  return {
    kernel: kernelOf(copyKernel, { direction, count: widths.length, pack }),
    buffers: ['y', ...widths.map((_, i) => nameOf(i))],
    uniforms: [rows * columns, columns, ...packs].map(u32),
    workgroups: [packGroups(rows * columns)],
  };
}

interface Variant {
  readonly direction: Direction;
  /** Of the parts. */
  readonly count: number;
  /** Numbers of a pack. */
  readonly pack: 1 | 4;
}

function copyKernel({ direction, count, pack }: Variant): GpuKernel {
  const [whole, part] = direction === 'split' ? (['read', 'write'] as const) : (['write', 'read'] as const);
  return {
    name: direction === 'split' ? 'SplitColumns' : 'JoinColumns',
    wgsl: packed(textOf(direction, count))[pack],
    bindings: [whole, ...Array.from({ length: count }, () => part)],
  };
}

function textOf(direction: Direction, count: number): string {
  const isSplit = direction === 'split';
  const parts = Array.from({ length: count }, (_, i) => i);
  const buffer = (name: string, binding: number, isRead: boolean): string =>
    `@group(0) @binding(${binding}) var<storage, ${isRead ? 'read' : 'read_write'}> ${name}: array<Pack>;`;
  const move = (i: number): string => {
    const part = `part${i}[row * sizes.width${i} + column]`;
    return isSplit ? `${part} = value;` : `value = ${part};`;
  };
  return `
struct Uniforms {
  /** Packs of the whole, and of its rows. */
  total: u32,
  columns: u32,
${parts.map((i) => `  width${i}: u32,`).join('\n')}
}

${buffer('whole', 0, isSplit)}
${parts.map((i) => buffer(`part${i}`, i + 1, !isSplit)).join('\n')}
@group(0) @binding(${count + 1}) var<uniform> sizes: Uniforms;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < sizes.total; i += groups.x * 256) {
    ${isSplit ? 'let value = whole[i];' : 'var value: Pack;'}
    let row = i / sizes.columns;
    // Counted from each part's first; behind its last one it wraps around to very large numbers.
    var column = i % sizes.columns;
${parts
  .map(
    (i) => `    if (column < sizes.width${i}) {
      ${move(i)}
    }
    column -= sizes.width${i};`,
  )
  .join('\n')}
    ${isSplit ? '' : 'whole[i] = value;'}
  }
}`;
}
