// Time that a WebGPU device takes, by its own clock.
import { engine } from '@tensorflow/tfjs-core';
import { submitRecorded, type Submitter } from './webgpu-submit.ts';

/**
 * Milliseconds between the device's arriving at what `run` dispatches and its being done with it, gaps included; and
 * waits for that. `undefined` where the current backend has no such clock: not WebGPU, or no `timestamp-query`.
 */
export async function deviceMilliseconds(run: () => void): Promise<number | undefined> {
  const recorder = engine().backend as unknown as Submitter;
  const { device } = recorder as Partial<Submitter>;
  if (!device?.features.has('timestamp-query')) {
    run();
    await device?.queue.onSubmittedWorkDone();
    return undefined;
  }
  const querySet = device.createQuerySet({ type: 'timestamp', count: 2 });
  const bytes = 2 * BigUint64Array.BYTES_PER_ELEMENT;
  const resolved = device.createBuffer({
    size: bytes,
    usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
  });
  const readable = device.createBuffer({
    size: bytes,
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  const stamp = (index: number): void => {
    submitRecorded(recorder);
    const encoder = device.createCommandEncoder();
    encoder.beginComputePass({ timestampWrites: { querySet, endOfPassWriteIndex: index } }).end();
    if (index === 1) {
      encoder.resolveQuerySet(querySet, 0, 2, resolved, 0);
      encoder.copyBufferToBuffer(resolved, 0, readable, 0, bytes);
    }
    device.queue.submit([encoder.finish()]);
  };
  try {
    stamp(0);
    run();
    stamp(1);
    await readable.mapAsync(GPUMapMode.READ);
    const [start = 0n, end = 0n] = new BigUint64Array(readable.getMappedRange());
    readable.unmap();
    return Number(end - start) / 1e6;
  } finally {
    querySet.destroy();
    resolved.destroy();
    readable.destroy();
  }
}
