// What a WebGPU device was told to do, to be done again without JavaScript in between. A device that waits for its commands clocks
// itself down and takes several times as long for the same kernel, so only a replay says what kernels take.
import type { BufferPool } from './buffer-pool.ts';
import {
  clockedBackend,
  spansOf,
  workListeners,
  type DeviceSpan,
  type DeviceWork,
} from './webgpu-profile.ts';
import { Stamps, type PassStamps } from './webgpu-stamps.ts';
import { submitRecorded, type Submitter } from './webgpu-submit.ts';

export interface DeviceReplay {
  /** In order. */
  readonly dispatches: readonly DeviceWork[];
  /**
   * Milliseconds of the device for all dispatches, gaps between them included: the mean of `count` runs, which follow one another
   * in one pass.
   */
  readonly time: (count: number) => Promise<number>;
  /** Each dispatch in a pass of its own: the median of `rounds` runs. */
  readonly profile: (rounds: number) => Promise<Omit<DeviceSpan, 'op'>[]>;
  /** Frees the buffers between the dispatches. */
  readonly dispose: () => void;
}

interface Command {
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  readonly workgroups: readonly [number, number?, number?];
}

interface Recorder extends Submitter {
  bufferManager: BufferPool;
}

/**
 * Runs `run` and keeps what it dispatches, of our kernels and of tfjs's. Everything else is left out of the replay: reads, and what
 * the host sends meanwhile, which the device then has already. Run it once before, so that nothing has to be compiled any more.
 *
 * `run` must free the tensors that it makes, and its inputs must live as long as the replay.
 *
 * @throws MnemixError `backend` where the current backend is not WebGPU with `timestamp-query`
 */
export async function recordDevice(run: () => void): Promise<DeviceReplay> {
  const backend = clockedBackend<Recorder>('recordDevice');
  const { device } = backend;
  submitRecorded(backend);
  await device.queue.onSubmittedWorkDone();
  const { bufferManager } = backend;
  const pool = bufferManager.recorded();
  backend.bufferManager = pool;
  const dispatches: DeviceWork[] = [];
  const commands: Command[] = [];
  let next: DeviceWork = { name: '', bytes: 0 };
  workListeners.set(backend, (work) => (next = work));
  const stop = interceptDispatches(device, (command) => {
    commands.push(command);
    dispatches.push(next);
  });
  try {
    run();
    submitRecorded(backend);
    await device.queue.onSubmittedWorkDone();
  } catch (error) {
    pool.dispose();
    throw error;
  } finally {
    stop();
    workListeners.delete(backend);
    backend.bufferManager = bufferManager;
  }

  const runIn = async (
    encode: (encoder: GPUCommandEncoder, stamps: Stamps) => void,
  ): Promise<PassStamps[]> => {
    const stamps = new Stamps(device);
    const encoder = device.createCommandEncoder();
    encode(encoder, stamps);
    device.queue.submit([encoder.finish()]);
    return stamps.take();
  };
  return {
    dispatches,
    time: async (count) => {
      const [[begin, end] = [0n, 0n]] = await runIn((encoder, stamps) => {
        const pass = encoder.beginComputePass({ timestampWrites: stamps.next() });
        for (let i = 0; i < count; i++) for (const command of commands) dispatch(pass, command);
        pass.end();
      });
      return Number(end - begin) / 1e6 / count;
    },
    profile: async (rounds) => {
      const work = Array.from({ length: rounds }, () => dispatches).flat();
      const stamps = await runIn((encoder, each) => {
        for (let i = 0; i < rounds; i++) {
          for (const command of commands) {
            const pass = encoder.beginComputePass({ timestampWrites: each.next() });
            dispatch(pass, command);
            pass.end();
          }
        }
      });
      const spans = spansOf(work, stamps);
      return dispatches.map((_, i) => {
        const same = Array.from(
          { length: rounds },
          (_, round) => spans[round * dispatches.length + i] as (typeof spans)[0],
        );
        same.sort((a, b) => a.milliseconds - b.milliseconds);
        return same[Math.floor(rounds / 2)] as (typeof spans)[0];
      });
    },
    dispose: () => pool.dispose(),
  };
}

function dispatch(pass: GPUComputePassEncoder, { pipeline, bindGroup, workgroups }: Command): void {
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, bindGroup);
  pass.dispatchWorkgroups(...workgroups);
}

/** Tells `found` of every dispatch that is encoded for the device, until the returned function is called. */
function interceptDispatches(device: GPUDevice, found: (command: Command) => void): () => void {
  const createCommandEncoder = device.createCommandEncoder.bind(device);
  device.createCommandEncoder = (descriptor) => {
    const encoder = createCommandEncoder(descriptor);
    const beginComputePass = encoder.beginComputePass.bind(encoder);
    encoder.beginComputePass = (passDescriptor) => {
      const pass = beginComputePass(passDescriptor);
      const setPipeline = pass.setPipeline.bind(pass);
      const setBindGroup = pass.setBindGroup.bind(pass) as (index: number, group: GPUBindGroup) => undefined;
      const dispatchWorkgroups = pass.dispatchWorkgroups.bind(pass);
      let pipeline: GPUComputePipeline;
      let bindGroup: GPUBindGroup;
      pass.setPipeline = (given) => setPipeline((pipeline = given));
      pass.setBindGroup = ((index: number, given: GPUBindGroup) => {
        bindGroup = given;
        return setBindGroup(index, given);
      }) as GPUComputePassEncoder['setBindGroup'];
      pass.dispatchWorkgroups = (...workgroups) => {
        found({ pipeline, bindGroup, workgroups });
        return dispatchWorkgroups(...workgroups);
      };
      return pass;
    };
    return encoder;
  };
  // Back to the method of the prototype.
  return () => void delete (device as { createCommandEncoder?: unknown }).createCommandEncoder;
}
