// The buffers of WebGPU tensors, in place of tfjs's own pool, which keeps all that was ever freed (trap 4): one large batch, or many
// sizes one after the other, and the memory was gone for good.
import { MnemixError } from '../errors.ts';
import { bytesText } from './webgpu-limits.ts';

/** A free buffer that nothing has asked for during a whole period is destroyed. */
const PERIOD_MILLISECONDS = 10_000;
/** Free buffers included, the pool holds no more than this many times what was in use at once in this period or the last. */
const MOST_OF_PEAK = 2;
/** Smaller buffers are not what memory runs out by. */
const LARGE_BYTES = 2 ** 20;

export interface BufferPoolOptions {
  readonly device: GPUDevice;
  /** Whether there are commands that were recorded and not submitted: a buffer of theirs must not be destroyed. */
  readonly isRecording: () => boolean;
  /** Told when the device has no memory for a buffer; WebGPU says so only later. */
  readonly onFailure: (failure: MnemixError) => void;
  /**
   * For recordings: what was free stays as it is until the pool is disposed of. Small buffers, which may hold what the host has sent,
   * are not used again; large ones are.
   */
  readonly isRecorded?: boolean;
}

/**
 * Buffers by size and usage; of those that are free the oldest is used first, so that steps which need the same get the same.
 *
 * A buffer can be used again by the commands that follow, even while those that used it before are only recorded: all run in order.
 * What the host writes comes before all that is recorded, so it wants a buffer that nothing recorded uses ({@link acquireForHost}).
 *
 * Two rules give memory back. What lay idle for a whole period (10 s) is destroyed, at the period's end. And before a buffer is
 * made, those that lie idle longest are destroyed until no more than twice the bytes are held that were in use at once lately.
 *
 * The names of its methods and counters are those that tfjs uses.
 */
export class BufferPool {
  /** For whom buffers are taken now: named where there is no memory. */
  owner = 'webgpu';
  numUsedBuffers = 0;
  numFreeBuffers = 0;
  numBytesUsed = 0;
  numBytesAllocated = 0;

  private readonly used = new Set<GPUBuffer>();
  /** When each was freed, in the order in which they were. */
  private readonly free = new Map<GPUBuffer, { readonly period: number; readonly submits: number }>();
  private readonly freeOf = new Map<number, GPUBuffer[]>();
  /** In the order in which they were made. */
  private readonly ages = new WeakMap<GPUBuffer, number>();
  private made = 0;
  private submits = 0;
  /** To be destroyed once what has been recorded is submitted. */
  private doomed: GPUBuffer[] = [];
  private period = 0;
  private peak = 0;
  private lastPeak = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly options: BufferPoolOptions) {}

  /** Another pool for the same device, for what is recorded to be done again. */
  recorded(): BufferPool {
    return new BufferPool({ ...this.options, isRecorded: true });
  }

  acquireBuffer(size: number, usage: number, mappedAtCreation = false, reuse = true): GPUBuffer {
    return this.take(reuse ? this.oldestFree(size, usage) : undefined, size, usage, mappedAtCreation);
  }

  /** A buffer for `writeBuffer`. */
  acquireForHost(size: number, usage: number): GPUBuffer {
    return this.take(this.oldestFree(size, usage, true), size, usage);
  }

  /** @param isIdle nothing that is recorded and not submitted uses it */
  private oldestFree(size: number, usage: number, isIdle = false): GPUBuffer | undefined {
    if (this.options.isRecorded && size < LARGE_BYTES) return undefined;
    let oldest: GPUBuffer | undefined;
    for (const buffer of this.freeOf.get(keyOf({ size, usage })) ?? []) {
      if (isIdle && this.options.isRecording() && this.free.get(buffer)?.submits === this.submits) continue;
      if (!oldest || this.ageOf(buffer) < this.ageOf(oldest)) oldest = buffer;
    }
    return oldest;
  }

  private ageOf(buffer: GPUBuffer): number {
    return this.ages.get(buffer) as number;
  }

  private take(
    found: GPUBuffer | undefined,
    size: number,
    usage: number,
    mappedAtCreation = false,
  ): GPUBuffer {
    if (found) this.forget(found);
    const buffer = found ?? this.create(size, usage, mappedAtCreation);
    this.used.add(buffer);
    this.numUsedBuffers++;
    this.numBytesUsed += size;
    this.peak = Math.max(this.peak, this.numBytesUsed);
    return buffer;
  }

  releaseBuffer(buffer: GPUBuffer, reuse = true): void {
    // Of a pool that was disposed of.
    if (!this.used.delete(buffer)) return;
    this.numUsedBuffers--;
    this.numBytesUsed -= buffer.size;
    if (!reuse) {
      this.destroy(buffer);
      return;
    }
    const key = keyOf(buffer);
    const like = this.freeOf.get(key);
    if (like) like.push(buffer);
    else this.freeOf.set(key, [buffer]);
    this.free.set(buffer, { period: this.period, submits: this.submits });
    this.numFreeBuffers++;
    if (!this.options.isRecorded) this.timer ??= later(() => this.endPeriod());
  }

  /** Destroys what has been free for the whole of the period. */
  endPeriod(): void {
    for (const [buffer, { period }] of this.free) {
      if (period === this.period) break;
      this.destroyFree(buffer);
    }
    this.period++;
    this.lastPeak = this.peak;
    this.peak = this.numBytesUsed;
    this.timer = this.free.size > 0 ? later(() => this.endPeriod()) : undefined;
  }

  /** To be called after each submit. */
  afterSubmit(): void {
    this.submits++;
    for (const buffer of this.doomed) buffer.destroy();
    this.doomed = [];
  }

  getNumUsedBuffers(): number {
    return this.numUsedBuffers;
  }

  getNumFreeBuffers(): number {
    return this.numFreeBuffers;
  }

  dispose(): void {
    clearTimeout(this.timer);
    for (const buffer of [...this.used, ...this.free.keys(), ...this.doomed]) buffer.destroy();
    this.doomed = [];
    this.used.clear();
    this.free.clear();
    this.freeOf.clear();
    this.numUsedBuffers = this.numFreeBuffers = this.numBytesUsed = this.numBytesAllocated = 0;
  }

  private create(size: number, usage: number, mappedAtCreation: boolean): GPUBuffer {
    const most = MOST_OF_PEAK * Math.max(this.lastPeak, this.peak, this.numBytesUsed + size);
    for (const buffer of this.free.keys()) {
      if (this.options.isRecorded || this.numBytesAllocated + size <= most) break;
      this.destroyFree(buffer);
    }
    const { device, onFailure } = this.options;
    const make = (): GPUBuffer => device.createBuffer({ size, usage, mappedAtCreation });
    const { owner } = this;
    const inUse = this.numBytesUsed;
    const fail = (cause: unknown): MnemixError => noMemory({ owner, size, inUse, cause });
    let buffer: GPUBuffer;
    if (size < LARGE_BYTES) buffer = make();
    else {
      device.pushErrorScope('out-of-memory');
      try {
        buffer = make();
      } catch (cause) {
        // A buffer that is mapped at once is refused at once.
        throw fail(cause);
      } finally {
        // A device that is lost says so elsewhere.
        device.popErrorScope().then(
          (error) => error && onFailure(fail(error)),
          () => {},
        );
      }
    }
    this.numBytesAllocated += size;
    this.ages.set(buffer, this.made++);
    return buffer;
  }

  private destroyFree(buffer: GPUBuffer): void {
    this.forget(buffer);
    this.destroy(buffer);
  }

  /** It is free no longer. */
  private forget(buffer: GPUBuffer): void {
    this.free.delete(buffer);
    this.numFreeBuffers--;
    const like = this.freeOf.get(keyOf(buffer)) as GPUBuffer[];
    like.splice(like.indexOf(buffer), 1);
  }

  private destroy(buffer: GPUBuffer): void {
    // What is recorded may still use it.
    if (this.options.isRecording()) this.doomed.push(buffer);
    else buffer.destroy();
    this.numBytesAllocated -= buffer.size;
  }
}

/** Usages are sums of powers of two up to 2^9. */
const keyOf = ({ size, usage }: { readonly size: number; readonly usage: number }): number =>
  size * 1024 + usage;

/** A timer that does not keep Node from exiting. */
function later(run: () => void): ReturnType<typeof setTimeout> {
  const timer = setTimeout(run, PERIOD_MILLISECONDS);
  (timer as { unref?: () => void }).unref?.();
  return timer;
}

const noMemory = ({
  owner,
  size,
  inUse,
  cause,
}: {
  readonly owner: string;
  readonly size: number;
  readonly inUse: number;
  readonly cause: unknown;
}): MnemixError =>
  new MnemixError({
    code: 'backend',
    where: owner,
    message: `the device has no memory left for a buffer of ${bytesText(size)}, beside ${bytesText(inUse)} in use.`,
    fix: 'Use a smaller batch or model, then open the backend again: closeBackend(), openBackend().',
    detail: { bytes: size, inUse },
    cause,
  });
