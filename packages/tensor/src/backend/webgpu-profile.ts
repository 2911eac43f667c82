// Where the time of a WebGPU device goes: a timestamp before and after each dispatch, each in a pass of its own for as long as the
// profile is taken.
import { engine } from '@tensorflow/tfjs-core';
import { MnemixError } from '../errors.ts';
import { recordKernels, type HostSpan } from '../profile.ts';
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

/** What WebGPU allows in one set. */
const QUERIES = 4096;
const STAMP_BYTES = BigUint64Array.BYTES_PER_ELEMENT;

interface Recording {
  readonly device: GPUDevice;
  readonly sets: GPUQuerySet[];
  readonly work: (DeviceWork & { readonly op: string })[];
  readonly currentOp: () => string;
}

const recordings = new WeakMap<object, Recording>();

/**
 * What the next pass has to be begun with, so that the one dispatch in it is timed; `undefined` while no profile is taken.
 *
 * @param backend the WebGPU backend that is about to dispatch
 */
export function passTimestamps(
  backend: object,
  work: () => DeviceWork,
): GPUComputePassTimestampWrites | undefined {
  const recording = recordings.get(backend);
  if (!recording) return undefined;
  const index = 2 * recording.work.length;
  if (index % QUERIES === 0) {
    recording.sets.push(recording.device.createQuerySet({ type: 'timestamp', count: QUERIES }));
  }
  recording.work.push({ ...work(), op: recording.currentOp() });
  return {
    querySet: recording.sets.at(-1) as GPUQuerySet,
    beginningOfPassWriteIndex: index % QUERIES,
    endOfPassWriteIndex: (index % QUERIES) + 1,
  };
}

/**
 * Runs `run` and times every dispatch of it on the device: ours and tfjs's. See `deviceKernelTimes` and `deviceTrace` for what to
 * make of it. A dispatch has a pass of its own meanwhile, so that the whole takes longer than it does otherwise.
 *
 * @throws MnemixError `backend` where the current backend has no such clock: not WebGPU, or no `timestamp-query`
 */
export async function profileDevice(run: () => void | Promise<void>): Promise<DeviceProfile> {
  const backend = engine().backend as unknown as Submitter;
  const { device } = backend as Partial<Submitter>;
  if (!device?.features.has('timestamp-query')) {
    throw new MnemixError({
      code: 'backend',
      where: 'profileDevice',
      message: 'the current backend cannot time what it dispatches.',
      fix: "Open 'webgpu' on a device with timestamp queries; profileKernels times the other backends.",
    });
  }
  submitRecorded(backend);
  await device.queue.onSubmittedWorkDone();
  const { host, currentOp, stop } = recordKernels();
  const recording: Recording = { device, sets: [], work: [], currentOp: () => currentOp() ?? '' };
  recordings.set(backend, recording);
  const start = performance.now();
  try {
    await run();
    submitRecorded(backend);
    await device.queue.onSubmittedWorkDone();
  } finally {
    recordings.delete(backend);
    stop();
  }
  const milliseconds = performance.now() - start;
  try {
    const stamps = await stampsOf(recording);
    const first = stamps[0] ?? 0n;
    const since = (stamp = first): number => Number(stamp - first) / 1e6;
    let free = 0;
    return {
      device: recording.work.map((work, i) => {
        // A pass may begin while the one before it is still at work: that time is not its own.
        const begin = Math.max(free, since(stamps[2 * i]));
        free = Math.max(begin, since(stamps[2 * i + 1]));
        return { ...work, start: begin, milliseconds: free - begin };
      }),
      host: host(),
      milliseconds,
    };
  } finally {
    for (const set of recording.sets) set.destroy();
  }
}

/** In nanoseconds, two for each dispatch. */
async function stampsOf({ device, sets, work }: Recording): Promise<BigUint64Array> {
  if (work.length === 0) return new BigUint64Array();
  const bytes = STAMP_BYTES * QUERIES * sets.length;
  const resolved = device.createBuffer({
    size: bytes,
    usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
  });
  const readable = device.createBuffer({
    size: bytes,
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  try {
    const encoder = device.createCommandEncoder();
    let left = 2 * work.length;
    sets.forEach((set, i) => {
      // A query that was never written cannot be resolved everywhere.
      encoder.resolveQuerySet(set, 0, Math.min(QUERIES, left), resolved, i * QUERIES * STAMP_BYTES);
      left -= QUERIES;
    });
    encoder.copyBufferToBuffer(resolved, 0, readable, 0, bytes);
    device.queue.submit([encoder.finish()]);
    await readable.mapAsync(GPUMapMode.READ);
    return new BigUint64Array(readable.getMappedRange().slice(0));
  } finally {
    resolved.destroy();
    readable.destroy();
  }
}
