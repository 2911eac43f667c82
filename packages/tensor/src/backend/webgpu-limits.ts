// What a WebGPU device can hold in one tensor.
import { MnemixError } from '../errors.ts';
import { sizeOf } from '../shape.ts';

/** Bytes of an element: tfjs stores booleans as integers on WebGPU. */
const ELEMENT_BYTES = 4;

/** Bytes of a tensor on WebGPU, whatever its dtype. */
export const deviceBytes = (shape: readonly number[]): number => ELEMENT_BYTES * sizeOf(shape);

/** The largest tensor that a kernel can be given, in bytes. */
export const largestTensor = ({ limits }: Pick<GPUDevice, 'limits'>): number =>
  Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize);

/**
 * @param where the op
 * @param tensor its name in the op
 * @throws MnemixError `backend` where the device cannot hold a tensor of this shape
 */
export function checkTensorFits(
  device: Pick<GPUDevice, 'limits'>,
  where: string,
  tensor: string,
  shape: readonly number[],
): void {
  const bytes = deviceBytes(shape);
  const most = largestTensor(device);
  if (bytes <= most) return;
  throw new MnemixError({
    code: 'backend',
    where: `${where}(${tensor})`,
    message: `a tensor of [${shape.join(', ')}] takes ${bytesText(bytes)}, and this device holds ${bytesText(most)} in one.`,
    fix: 'Use a smaller batch or shorter sequences.',
    detail: { tensor, shape, bytes, most },
  });
}

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB'] as const;

/** E.g. `1.5 GiB`. */
export function bytesText(bytes: number): string {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${UNITS[power]}`;
}
