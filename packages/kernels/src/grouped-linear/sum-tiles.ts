// Adds up what a gradient is over each tile of rows.
import { u32, type GpuDispatch, type GpuKernel } from '../gpu/kernel.ts';
import { kernelOf } from '../gpu/kernel-of.ts';
import { INVOCATIONS, packed, packOf } from '../gpu/rows/index.ts';
import {
  PACKS_AT_ONCE,
  readPacks,
  shareOf,
  shareOut,
  spanFields,
  spansWgsl,
  switchWgsl,
  writePacks,
} from '../gpu/rows/shares.ts';
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
  const packs = size / pack;
  const share = shareOf(packs * groups);
  return {
    kernel: { name: 'GroupedLinear sum', wgsl: wholeTexts[pack], bindings: ['read', 'read', 'write'] },
    buffers: [parts, 'lengths', sum],
    uniforms: [share, packs, tileRows].map(u32),
    workgroups: [Math.ceil(packs / share), groups],
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
  const pack = packOf(size, ...Object.values(sums));
  let next = 0;
  const outputs = entries.map(([name, numbers], i) => {
    const start = i % layers === 0 ? 0 : next;
    next = start + numbers / pack;
    return { name, size: numbers / pack, start, group: Math.floor(i / layers) };
  });
  const most = limits.maxStorageBuffersPerShaderStage - 2;
  const dispatches: GpuDispatch[] = [];
  for (let first = 0; first < outputs.length; first += most) {
    const own = outputs.slice(first, first + most);
    const { uniforms, workgroups } = shareOut(own);
    dispatches.push({
      kernel: kernelOf(apartKernel, { count: own.length, pack }),
      buffers: [parts, 'lengths', ...own.map(({ name }) => name)],
      uniforms: [...uniforms, ...[size / pack, tileRows].map(u32)],
      workgroups,
    });
  }
  return dispatches;
}

const apartKernel = ({ count, pack }: { readonly count: number; readonly pack: 1 | 4 }): GpuKernel => ({
  name: `GroupedLinear sum to ${count}`,
  wgsl: packed(textOf(apartWgsl(count)))[pack],
  bindings: ['read', 'read', ...Array.from({ length: count }, () => 'write' as const)],
});

interface Sums {
  /** How many tensors. */
  readonly outputs: number;
  /** Fields of the uniforms: `share`, and what the others ask for. */
  readonly fields: string;
  /** The function `shareOf(workgroup)`. */
  readonly share: string;
  /** Statements that write `sum`. */
  readonly put: string;
}

const textOf = ({ outputs, fields, share, put }: Sums): string => `
struct Uniforms {
  ${fields}
  /** Of one group. */
  packs: u32,
  tileRows: u32,
}

@group(0) @binding(0) var<storage, read> parts: array<Pack>;
@group(0) @binding(1) var<storage, read> lengths: array<i32>;
${Array.from({ length: outputs }, (_, i) => `@group(0) @binding(${i + 2}) var<storage, read_write> gradient${i}: array<Pack>;`).join('\n')}
@group(0) @binding(${outputs + 2}) var<uniform> sizes: Uniforms;

const invocations = ${INVOCATIONS}u;
const packsAtOnce = ${PACKS_AT_ONCE}u;

fn readParts(first: u32) -> Packs {
  return ${readPacks('parts', 'first')};
}

fn put(tensor: u32, first: u32, left: u32, sum: Packs) {
  ${put}
}
${share}
${sumTilesWgsl}`;

const put = (i: number): string => writePacks(`gradient${i}`, 'first', 'left', 'sum');

const wholeTexts = packed(
  textOf({
    outputs: 1,
    fields: 'share: u32,',
    share: `
fn shareOf(workgroup: vec3u) -> Share {
  let begin = workgroup.x * sizes.share;
  return Share(workgroup.y, begin, min(sizes.share, sizes.packs - begin), 0, workgroup.y * sizes.packs + begin);
}`,
    put: put(0),
  }),
);

const apartWgsl = (count: number): Sums => ({
  outputs: count,
  fields: spanFields,
  share: `${spansWgsl(count)}
fn shareOf(workgroup: vec3u) -> Share {
  let tensor = tensorOf(workgroup.x);
  let own = sizes.spans[tensor];
  let begin = (workgroup.x - own.workgroup) * sizes.share;
  return Share(own.group, own.start + begin, min(sizes.share, own.size - begin), tensor, begin);
}`,
  put: switchWgsl('tensor', count, put),
});
