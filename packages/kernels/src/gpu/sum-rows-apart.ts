// Second stage of sums over rows for two outputs at once.
import { u32, type GpuDispatch, type GpuKernel } from './kernel.ts';
import { spread } from './spread.ts';
import wgsl from './sum-rows-apart.wgsl';

const kernel: GpuKernel = { name: 'SumRowsApart', wgsl, bindings: ['read', 'write', 'write'] };
const COLUMNS = 32;

/**
 * The sum of the rows of x [rows, width + widthZ]: its first columns to y [width], the others to z [widthZ]; the same bits for the
 * same input.
 */
export const sumRowsApart = (
  x: string,
  [y, width]: readonly [string, number],
  [z, widthZ]: readonly [string, number],
  rows: number,
): GpuDispatch => ({
  kernel,
  buffers: [x, y, z],
  uniforms: [u32(rows), u32(width + widthZ), u32(width)],
  workgroups: spread(Math.ceil((width + widthZ) / COLUMNS)),
});
