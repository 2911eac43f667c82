import type { GpuKernel } from './kernel.ts';

/** By what makes them, and what they are made for. */
const kernels = new Map<unknown, Map<string, GpuKernel>>();

/**
 * A kernel of which `variant` tells all that is baked into its text, made once: writing a module anew takes longer than recording a
 * dispatch.
 *
 * @param variant plain data
 */
export function kernelOf<Variant>(make: (variant: Variant) => GpuKernel, variant: Variant): GpuKernel {
  const known = kernels.get(make) ?? new Map<string, GpuKernel>();
  kernels.set(make, known);
  const key = JSON.stringify(variant);
  const kernel = known.get(key) ?? make(variant);
  known.set(key, kernel);
  return kernel;
}
