// Where the time of a WebGPU device goes: a timestamp before and after each dispatch, each in a pass of its own for as long as the
// profile is taken.
import { engine } from '@tensorflow/tfjs-core';
import { MnemixError } from '../errors.ts';
import { recordKernels, type HostSpan } from '../profile.ts';
import { Stamps, type PassStamps } from './webgpu-stamps.ts';
import { submitRecorded, type Submitter } from './webgpu-submit.ts';

/** What a dispatch is, as far as its profile is concerned. */
export interface DeviceWork {
  /** Of the kernel. */
  readonly name: string;
  /** Of all tensors that it binds: what it moves at least, if it looks at all of them. */
  readonly bytes: number;
  /** Floating-point operations, where the kernel says so; a multiply-add is two. */
  readonly flops?: number | undefined;
}

/** One dispatch, on the device's clock. */
export interface DeviceSpan extends DeviceWork {
  /** The op that it is part of: the outermost kernel that was being run. */
  readonly op: string;
  /** Milliseconds from the start of the first dispatch. */
  readonly start: number;
  readonly milliseconds: number;
}

export interface DeviceProfile {
  /** In the order in which they were dispatched. */
  readonly device: readonly DeviceSpan[];
  /** What the host did meanwhile: the encoding of each kernel. */
  readonly host: readonly HostSpan[];
  /** Milliseconds on the wall, until the device was done. */
  readonly milliseconds: number;
}

interface Recording {
  readonly stamps: Stamps;
  readonly work: (DeviceWork & { readonly op: string })[];
  readonly currentOp: () => string;
}

const recordings = new WeakMap<object, Recording>();

/** Told of every dispatch of a backend, before it. */
export const workListeners = new WeakMap<object, (work: DeviceWork) => void>();

/**
 * What the next pass has to be begun with, so that the one dispatch in it is timed; `undefined` while no profile is taken.
 *
 * @param backend the WebGPU backend that is about to dispatch
 */
export function passTimestamps(
  backend: object,
  work: () => DeviceWork,
): GPUComputePassTimestampWrites | undefined {
  workListeners.get(backend)?.(work());
  const recording = recordings.get(backend);
  if (!recording) return undefined;
  recording.work.push({ ...work(), op: recording.currentOp() });
  return recording.stamps.next();
}

/**
 * The current backend.
 *
 * @throws MnemixError `backend` where it has no clock: not WebGPU, or no `timestamp-query`
 */
export function clockedBackend<Backend extends Submitter>(where: string): Backend {
  const backend = engine().backend as unknown as Partial<Backend>;
  if (!backend.device?.features.has('timestamp-query')) {
    throw new MnemixError({
      code: 'backend',
      where,
      message: 'the current backend cannot time what it dispatches.',
      fix: "Open 'webgpu' on a device with timestamp queries; profileKernels times the other backends.",
    });
  }
  return backend as Backend;
}

/**
 * Runs `run` and times every dispatch of it on the device: ours and tfjs's. See `deviceKernelTimes` and `deviceTrace` for what to
 * make of it. A dispatch has a pass of its own meanwhile, so that the whole takes longer than it does otherwise.
 *
 * @throws MnemixError `backend` where the current backend has no such clock: not WebGPU, or no `timestamp-query`
 */
export async function profileDevice(run: () => void | Promise<void>): Promise<DeviceProfile> {
  const backend = clockedBackend<Submitter>('profileDevice');
  const { device } = backend;
  submitRecorded(backend);
  await device.queue.onSubmittedWorkDone();
  const { host, currentOp, stop } = recordKernels();
  const stamps = new Stamps(device);
  const recording: Recording = { stamps, work: [], currentOp: () => currentOp() ?? '' };
  recordings.set(backend, recording);
  const start = performance.now();
  try {
    await run();
    submitRecorded(backend);
    await device.queue.onSubmittedWorkDone();
  } catch (error) {
    stamps.destroy();
    throw error;
  } finally {
    recordings.delete(backend);
    stop();
  }
  const milliseconds = performance.now() - start;
  const times = await stamps.take();
  const spans = spansOf(recording.work, times);
  return { device: spans, host: host(), milliseconds };
}

/** Of dispatches that had a pass each. */
export function spansOf<Work>(
  work: readonly Work[],
  stamps: readonly PassStamps[],
): (Work & { readonly start: number; readonly milliseconds: number })[] {
  const first = stamps[0]?.[0] ?? 0n;
  const since = (stamp: bigint): number => Number(stamp - first) / 1e6;
  let free = 0;
  return work.map((each, i) => {
    const [begin, end] = stamps[i] as PassStamps;
    // A pass may begin while the one before it is still at work: that time is not its own.
    const start = Math.max(free, since(begin));
    free = Math.max(start, since(end));
    return { ...each, start, milliseconds: free - start };
  });
}
