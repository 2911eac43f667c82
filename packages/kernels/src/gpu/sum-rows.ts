// Second stage of sums over rows: adds up what the workgroups of a first stage have left.
import { u32, type GpuDispatch, type GpuKernel } from './kernel.ts';
import wgsl from './sum-rows.wgsl';

const kernel: GpuKernel = { name: 'SumRows', wgsl, bindings: ['read', 'write'] };
const COLUMNS = 32;

/** y [width] = the sum of the rows of x [rows, width]; the same bits for the same input. */
export const sumRows = (x: string, y: string, rows: number, width: number): GpuDispatch => ({
  kernel,
  buffers: [x, y],
  uniforms: [u32(rows), u32(width)],
  workgroups: [Math.ceil(width / COLUMNS)],
});
