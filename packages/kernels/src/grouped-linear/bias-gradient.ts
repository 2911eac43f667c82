// The biases' gradient: dy summed over each tile of rows, then over the tiles of each group.
import { u32, type GpuPlan } from '../gpu/kernel.ts';
import biasGradientWgsl from './bias-gradient.wgsl';
import { mostTiles, type Sizes } from './sizes.ts';
import { sumTiles } from './sum-tiles.ts';
import tilesWgsl from './tiles.wgsl';

const TILE_ROWS = 512;
const COLUMNS = 32;

const kernel = {
  name: 'GroupedLinear db',
  wgsl: [biasGradientWgsl, tilesWgsl].join('\n'),
  bindings: ['read', 'read', 'read', 'write'],
} as const;

/** From `dy` to `dBias`, by way of `biasParts`. */
export function biasGradient(sizes: Sizes): Required<Pick<GpuPlan, 'dispatches' | 'scratch'>> {
  const { groups, outputs } = sizes;
  const tiles = mostTiles(sizes, TILE_ROWS);
  return {
    scratch: { biasParts: { shape: [tiles, outputs] } },
    dispatches: [
      {
        kernel,
        buffers: ['dy', 'starts', 'lengths', 'biasParts'],
        uniforms: [outputs, TILE_ROWS, groups].map(u32),
        workgroups: [Math.ceil(outputs / COLUMNS), tiles],
      },
      sumTiles('dBias', { parts: 'biasParts', size: outputs, groups, tileRows: TILE_ROWS }),
    ],
  };
}
