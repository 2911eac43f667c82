// Adds up what a gradient is over each tile of rows.
import { u32, type GpuDispatch } from '../gpu/kernel.ts';
import { MAX_GROUPS, packed, packGroups, packOf } from '../gpu/rows/index.ts';
import sumTilesWgsl from './sum-tiles.wgsl';

const texts = packed(sumTilesWgsl);

interface TileSums {
  /** [tiles, size] */
  readonly parts: string;
  /** [groups, size] */
  readonly sum: string;
  readonly size: number;
  readonly groups: number;
  /** Rows of a tile. */
  readonly tileRows: number;
}

export function sumTiles({ parts, sum, size, groups, tileRows }: TileSums): GpuDispatch {
  const pack = packOf(size);
  return {
    kernel: { name: 'GroupedLinear sum', wgsl: texts[pack], bindings: ['read', 'read', 'write'] },
    buffers: [parts, 'lengths', sum],
    uniforms: [u32(size), u32(tileRows)],
    workgroups: [Math.min(packGroups(size / pack), Math.ceil(MAX_GROUPS / groups)), groups],
  };
}
