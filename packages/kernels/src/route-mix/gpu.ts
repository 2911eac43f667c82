// Gathering and mixing of bucket rows on WebGPU, one dispatch each. All are gathers, also backward, so that no sum depends on an order.
import type { Tensor } from '@mnemix/tensor';
import { gpuKernel } from '../gpu/bridge.ts';
import { u32, type GpuPlan } from '../gpu/kernel.ts';
import {
  packed,
  packedRows,
  packGroups,
  packOf,
  rowGroups,
  rowLayout,
  type PackedText,
} from '../gpu/rows/index.ts';
import mixBackwardWgsl from './mix-backward.wgsl';
import mixWgsl from './mix.wgsl';
import type { MixBackwardInputs, MixInputs } from './portable.ts';

const mixText = packed(mixWgsl);
const mixBackwardText = packedRows(mixBackwardWgsl);

/** Copies of the rows of several tensors, of the same rows each: x0, x1, … → y0, y1, … */
export const gathers = gpuKernel<Record<string, Tensor>, object>(({ shapes }) => {
  const xs = Object.entries(shapes).flatMap(([name, shape]) => (name.startsWith('x') ? [shape] : []));
  const [copies = 0] = shapes['source'] as readonly number[];
  return rowsOfSeveral('gather', xs, copies, 'source', 1);
});

/** The sums of the copies of each row, of several tensors. */
export const sums = gpuKernel<Record<string, Tensor>, object>(({ shapes }) => {
  const { position, ...xs } = shapes as Readonly<Record<string, readonly number[]>>;
  const [rows = 0, chosen = 0] = position as readonly number[];
  return rowsOfSeveral('sum', Object.values(xs), rows, 'position', chosen);
});

/**
 * y_i[r] = Σ_j x_i[places[r, j]]: a gather where there is one place for each row, and a sum of copies where there are several. A place
 * of −1 adds nothing.
 */
function rowsOfSeveral(
  kind: 'gather' | 'sum',
  xs: readonly (readonly number[])[],
  rows: number,
  places: string,
  each: number,
): GpuPlan {
  const widths = xs.map(([, width]) => width as number);
  const pack = packOf(...widths);
  const packs = widths.map((width) => width / pack);
  const numbers = xs.map((_, i) => i);
  return {
    outputs: Object.fromEntries(widths.map((width, i) => [`y${i}`, { shape: [rows, width] }])),
    dispatches: [
      {
        kernel: {
          name: kind === 'gather' ? 'RouteGather' : 'RouteSum',
          wgsl: rowsText(xs.length)[pack],
          bindings: ['read', ...numbers.flatMap(() => ['read', 'write'] as const)],
        },
        buffers: [places, ...numbers.flatMap((i) => [`x${i}`, `y${i}`])],
        uniforms: [rows, each, ...packs].map(u32),
        workgroups: [packGroups(rows * Math.max(...packs)), xs.length],
      },
    ],
  };
}

/** By the number of tensors: writing a module anew takes longer than recording a dispatch. */
const rowsTexts = new Map<number, PackedText>();

function rowsText(count: number): PackedText {
  const numbers = Array.from({ length: count }, (_, i) => i);
  const text =
    rowsTexts.get(count) ??
    packed(`
struct Uniforms {
  rows: u32,
  /** Places of a row. */
  each: u32,
${numbers.map((i) => `  packs${i}: u32, // of a row`).join('\n')}
}

@group(0) @binding(0) var<storage, read> places: array<i32>;
${numbers
  .map(
    (i) => `@group(0) @binding(${2 * i + 1}) var<storage, read> x${i}: array<Pack>;
@group(0) @binding(${2 * i + 2}) var<storage, read_write> y${i}: array<Pack>;`,
  )
  .join('\n')}
@group(0) @binding(${2 * count + 1}) var<uniform> sizes: Uniforms;
${numbers
  .map(
    (i) => `
fn rows${i}(first: u32, step: u32) {
  for (var i = first; i < sizes.rows * sizes.packs${i}; i += step) {
    let row = i / sizes.packs${i};
    let column = i % sizes.packs${i};
    var sum = Pack();
    for (var j = 0u; j < sizes.each; j++) {
      let place = places[row * sizes.each + j];
      if (place >= 0) {
        sum += x${i}[u32(place) * sizes.packs${i} + column];
      }
    }
    y${i}[i] = sum;
  }
}`,
  )
  .join('\n')}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  switch (id.y) {
${numbers.map((i) => `    case ${i}: { rows${i}(id.x, groups.x * 256); }`).join('\n')}
    default: {}
  }
}`);
  rowsTexts.set(count, text);
  return text;
}

export const mix = gpuKernel<MixInputs, object>(({ shapes: { o, position, weights } }) => {
  const [rows = 0, chosen = 0] = position;
  const width = o[1] as number;
  const pack = packOf(width);
  const packs = width / pack;
  return {
    outputs: { y: { shape: [rows, width] } },
    dispatches: [
      {
        kernel: { name: 'RouteMix', wgsl: mixText[pack], bindings: ['read', 'read', 'read', 'write'] },
        buffers: ['o', 'weights', 'position', 'y'],
        uniforms: [rows * packs, packs, chosen, weights[1] as number].map(u32),
        workgroups: [packGroups(rows * packs)],
      },
    ],
  };
});

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
