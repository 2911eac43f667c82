// How host values reach the buffers of tfjs's WebGPU backend, in place of its own way: for each tensor it makes a mapped staging
// buffer and ends the open pass for a copy, and it writes every dispatch's uniforms anew.
import type { DataType, KernelBackend, TypedArray } from '@tensorflow/tfjs-core';
import type { BufferPool } from './buffer-pool.ts';
import { deviceBytes } from './webgpu-limits.ts';

/** A field of a uniform struct: a scalar, a vector, or (of 5 and 6) what tfjs lays out as two vectors. */
export interface UniformField {
  readonly type: string;
  readonly data: readonly number[];
}

interface UploadingBackend {
  readonly device: GPUDevice;
  readonly bufferManager: BufferPool;
  readonly tensorMap: {
    get(dataId: object): {
      readonly dtype: DataType;
      readonly shape: number[];
      values: TypedArray | null;
      resource?: GPUBuffer;
    };
  };
  uploadToGPU(dataId: object): void;
  makeUniforms(fields: readonly UniformField[]): GPUBufferBinding;
}

/** Structs that are kept: a training step of a language model has a few hundred different ones. */
const MOST_UNIFORMS = 4096;

export function installUploads(instance: KernelBackend): void {
  const backend = instance as unknown as UploadingBackend;
  const { device } = backend;

  backend.uploadToGPU = (dataId) => {
    const data = backend.tensorMap.get(dataId);
    if (data.resource) return;
    const { bufferManager: pool } = backend;
    const bytes = deviceBytes(data.shape);
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    // Kernels may take a scalar as a uniform, which leaves a storage binding free.
    const isScalar = bytes === Float32Array.BYTES_PER_ELEMENT;
    const all = isScalar ? usage | GPUBufferUsage.UNIFORM : usage;
    if (!data.values) {
      data.resource = pool.acquireBuffer(bytes, all);
      return;
    }
    // The queue writes before what is being recorded runs.
    data.resource = pool.acquireForHost(bytes, all);
    device.queue.writeBuffer(data.resource, 0, wordsOf(data.values, data.dtype) as BufferSource);
    data.values = null;
  };

  // Never written again: the same values are the same buffer, in later steps too. What is forgotten is not destroyed, since
  // commands and bind groups may still hold it; it is freed with the last of them.
  const kept = new Map<string, GPUBufferBinding>();
  backend.makeUniforms = (fields) => {
    const words = layOut(fields);
    const key = String.fromCharCode(...new Uint16Array(words.buffer));
    let binding = kept.get(key);
    if (binding) kept.delete(key);
    else {
      const usage = GPUBufferUsage.COPY_DST | GPUBufferUsage.UNIFORM;
      const buffer = device.createBuffer({ size: words.byteLength, usage });
      device.queue.writeBuffer(buffer, 0, words);
      binding = { buffer };
    }
    // Last in the order: used most recently.
    kept.set(key, binding);
    if (kept.size > MOST_UNIFORMS) kept.delete(kept.keys().next().value as string);
    return binding;
  };
}

/** Values as the device holds them: booleans are integers there. */
function wordsOf(values: TypedArray, dtype: DataType): ArrayBufferView {
  const Words = dtype === 'int32' || dtype === 'bool' ? Int32Array : Float32Array;
  return values instanceof Words ? values : Words.from(values as ArrayLike<number>);
}

/** The struct's bytes, as WGSL aligns its members; an empty shape counts as [1]. */
function layOut(fields: readonly UniformField[]): Uint32Array<ArrayBuffer> {
  let [end, largest, before] = [0, 1, 0];
  const offsets: number[] = [];
  for (const { data } of fields) {
    const length = data.length || 1;
    const words = length > 2 || before > 4 ? 4 : length;
    largest = Math.max(largest, words);
    end = Math.ceil(end / words) * words;
    offsets.push(end);
    end += length;
    before = length;
  }
  const buffer = new ArrayBuffer(4 * largest * Math.ceil(end / largest));
  const [words, floats] = [new Uint32Array(buffer), new Float32Array(buffer)];
  fields.forEach(({ type, data }, i) => {
    const view = type === 'float32' ? floats : words;
    view.set(data.length === 0 ? [1] : data, offsets[i] as number);
  });
  return words;
}
