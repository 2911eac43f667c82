// How kernels with one invocation for each token's row are laid out.
import { u32, type GpuDispatch } from '../gpu/kernel.ts';
import { spread } from '../gpu/spread.ts';

const INVOCATIONS = 64;

/** @param sizes what the uniforms hold behind the number of rows */
export const rowLayout = (
  rows: number,
  ...sizes: readonly number[]
): Pick<GpuDispatch, 'uniforms' | 'workgroups'> => ({
  uniforms: [rows, ...sizes].map(u32),
  workgroups: spread(Math.ceil(rows / INVOCATIONS)),
});
