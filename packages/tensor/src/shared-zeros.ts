// The zeros that stand for gradients of outputs which nothing depends on: in a language model, those of all layers' last states.
import { engine, fill, keep, zeros, type Tensor } from '@tensorflow/tfjs-core';

/** Zeros of more bytes are rather made on a device than brought there. */
const MOST_UPLOADED = 2 ** 16;

/** Of the backward pass that is running: one of each shape, whoever asks. */
let shared: Map<string, Tensor> | undefined;

/** Zeros of a tensor's shape; the caller's to free. */
export function zerosOf({ shape, size, dtype }: Tensor): Tensor {
  if (engine().backendName !== 'webgpu' || 4 * size <= MOST_UPLOADED) return zeros(shape, dtype);
  const key = `${dtype} ${shape.join()}`;
  const made = shared?.get(key) ?? fill(shape, 0, dtype as 'float32');
  if (!shared) return made;
  shared.set(key, keep(made));
  return made.clone();
}

/** Makes the zeros that are asked for in `run` once for each shape, where they are made on a device. */
export function sharingZeros<T>(run: () => T): T {
  if (shared) return run();
  const made = new Map<string, Tensor>();
  shared = made;
  try {
    return run();
  } finally {
    shared = undefined;
    for (const tensor of made.values()) tensor.dispose();
  }
}
