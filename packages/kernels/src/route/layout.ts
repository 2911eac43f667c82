// How kernels with one invocation for each of many things, rows or numbers, are laid out.
import { u32, type GpuDispatch } from '../gpu/kernel.ts';
import { spread } from '../gpu/spread.ts';

const INVOCATIONS = 64;

/** @param sizes what the uniforms hold behind the count */
export const layoutOf = (
  count: number,
  ...sizes: readonly number[]
): Pick<GpuDispatch, 'uniforms' | 'workgroups'> => ({
  uniforms: [count, ...sizes].map(u32),
  workgroups: spread(Math.ceil(count / INVOCATIONS)),
});
