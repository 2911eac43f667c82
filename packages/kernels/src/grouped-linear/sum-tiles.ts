// Adds up what a gradient is over each tile of rows.
import { u32, type GpuDispatch, type GpuKernel } from '../gpu/kernel.ts';
import { MAX_GROUPS, packed, packGroups, packOf } from '../gpu/rows/index.ts';
import { kernelOf } from '../mat-mul/gpu.ts';
import sumTilesWgsl from './sum-tiles.wgsl';

export interface TileSums {
  /** [tiles, size] */
  readonly parts: string;
  /** The numbers of one group. */
  readonly size: number;
  readonly groups: number;
  /** Rows of a tile. */
  readonly tileRows: number;
}

/** What adds them up. */
export type Sum = (tiles: TileSums) => GpuDispatch[];

/** To the tensor `sum` [groups, size]. */
export function sumTiles(sum: string, { parts, size, groups, tileRows }: TileSums): GpuDispatch {
  const pack = packOf(size);
  return {
    kernel: { name: 'GroupedLinear sum', wgsl: wholeTexts[pack], bindings: ['read', 'read', 'write'] },
    buffers: [parts, 'lengths', sum],
    uniforms: [size, tileRows].map(u32),
    workgroups: [workgroupsOf(size / pack, groups), groups],
  };
}

/** To tensors of these sizes: those of the first group, then those of the next, … As many in one dispatch as a stage has buffers for. */
export function sumTilesApart(
  sums: Readonly<Record<string, number>>,
  { parts, size, groups, tileRows }: TileSums,
  { limits }: GPUDevice,
): GpuDispatch[] {
  const entries = Object.entries(sums);
  const layers = entries.length / groups;
  let next = 0;
  const outputs = entries.map(([name, own], i) => {
    const start = i % layers === 0 ? 0 : next;
    next = start + own;
    return { name, size: own, start, group: Math.floor(i / layers) };
  });
  const pack = packOf(size, ...Object.values(sums));
  const most = limits.maxStorageBuffersPerShaderStage - 2;
  const dispatches: GpuDispatch[] = [];
  for (let first = 0; first < outputs.length; first += most) {
    const own = outputs.slice(first, first + most);
    const largest = Math.max(...own.map((output) => output.size));
    dispatches.push({
      kernel: kernelOf(apartKernel, { count: own.length, pack }),
      buffers: [parts, 'lengths', ...own.map(({ name }) => name)],
      uniforms: [
        size,
        tileRows,
        ...own.flatMap((output) => [output.group, output.start / pack, output.size / pack]),
      ].map(u32),
      workgroups: [workgroupsOf(largest / pack, own.length), own.length],
    });
  }
  return dispatches;
}

const workgroupsOf = (packs: number, count: number): number =>
  Math.min(packGroups(packs), Math.ceil(MAX_GROUPS / count));

const apartKernel = ({ count, pack }: { readonly count: number; readonly pack: 1 | 4 }): GpuKernel => ({
  name: `GroupedLinear sum to ${count}`,
  wgsl: packed(textOf(apartWgsl(count)))[pack],
  bindings: ['read', 'read', ...Array.from({ length: count }, () => 'write' as const)],
});

interface Sums {
  /** How many tensors, and the fields of the uniforms that say which numbers theirs are. */
  readonly outputs: number;
  readonly fields: string;
  /** The bodies of `sharesOf(y)` and `put(y, i, sum)`. */
  readonly shares: string;
  readonly put: string;
}

function textOf({ outputs, fields, shares, put }: Sums): string {
  const numbers = Array.from({ length: outputs }, (_, i) => i);
  return `
struct Uniforms {
  /** Numbers of one group. */
  size: u32,
  tileRows: u32,
${fields}
}

@group(0) @binding(0) var<storage, read> parts: array<Pack>;
@group(0) @binding(1) var<storage, read> lengths: array<i32>;
${numbers.map((i) => `@group(0) @binding(${i + 2}) var<storage, read_write> gradient${i}: array<Pack>;`).join('\n')}
@group(0) @binding(${outputs + 2}) var<uniform> sizes: Uniforms;

fn sharesOf(y: u32) -> Shares {
${shares}
}

fn put(y: u32, i: u32, sum: Pack) {
${put}
}
${sumTilesWgsl}`;
}

const wholeTexts = packed(
  textOf({
    outputs: 1,
    fields: '',
    shares: '  return Shares(y, 0, sizes.size / packWidth);',
    put: '  gradient0[y * (sizes.size / packWidth) + i] = sum;',
  }),
);

function apartWgsl(count: number): Sums {
  const each = (line: (i: number) => string): string =>
    Array.from({ length: count }, (_, i) => line(i)).join('\n');
  return {
    outputs: count,
    fields: each((i) => `  group${i}: u32, start${i}: u32, count${i}: u32,`),
    shares: `  var shares: Shares;
${each((i) => `  if (y == ${i}) { shares = Shares(sizes.group${i}, sizes.start${i}, sizes.count${i}); }`)}
  return shares;`,
    put: each((i) => `  if (y == ${i}) { gradient${i}[i] = sum; }`),
  };
}
