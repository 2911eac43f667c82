// From a product that is the weights' gradients one below the other, and cut along k into parts, to the gradients.
import { sumRows, sumRowsApart } from '../gpu/sum-rows.ts';
import { splitInto } from '../join-rows/gpu.ts';
import type { Part } from '../mat-mul/pack-rows.ts';

/**
 * @param count parts of the product, each all gradients one behind the other
 * @param sizes of the gradients
 * @returns also the tensor that the product is to write
 */
export function sumParts(
  count: number,
  sizes: Readonly<Record<string, number>>,
  device: GPUDevice,
): Part & { readonly from: string } {
  const gradients = Object.entries(sizes);
  const size = gradients.reduce((sum, [, own]) => sum + own, 0);
  const parts = { parts: { shape: [count, size] } };
  if (count > 1 && gradients.length < device.limits.maxStorageBuffersPerShaderStage) {
    return { from: 'parts', scratch: parts, dispatches: [sumRowsApart('parts', gradients, count)] };
  }
  const [[only = ''] = []] = gradients;
  if (gradients.length === 1) return { from: only, scratch: {}, dispatches: [] };
  const split = splitInto('whole', sizes, device);
  const whole = { whole: { shape: [size] } };
  return count === 1
    ? { from: 'whole', scratch: whole, dispatches: split }
    : {
        from: 'parts',
        scratch: { ...parts, ...whole },
        dispatches: [sumRows('parts', 'whole', count, size), ...split],
      };
}
