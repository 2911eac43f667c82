// Times on a WebGPU device's own clock, a pair for each compute pass.

/** What WebGPU allows in one set. */
const QUERIES = 4096;
const STAMP_BYTES = BigUint64Array.BYTES_PER_ELEMENT;

/** When a pass began and ended, in nanoseconds. */
export type PassStamps = readonly [begin: bigint, end: bigint];

/** Stamps of any number of passes. The device must have `timestamp-query`. */
export class Stamps {
  private readonly sets: GPUQuerySet[] = [];
  private passes = 0;

  constructor(private readonly device: GPUDevice) {}

  /** What the next pass is to be begun with. */
  next(): GPUComputePassTimestampWrites {
    const index = (2 * this.passes++) % QUERIES;
    if (index === 0) this.sets.push(this.device.createQuerySet({ type: 'timestamp', count: QUERIES }));
    return {
      querySet: this.sets.at(-1) as GPUQuerySet,
      beginningOfPassWriteIndex: index,
      endOfPassWriteIndex: index + 1,
    };
  }

  /** Of all passes, in order, once they are submitted and done; frees the stamps. */
  async take(): Promise<PassStamps[]> {
    const { device, sets, passes } = this;
    if (passes === 0) return [];
    const size = STAMP_BYTES * QUERIES * sets.length;
    const resolved = device.createBuffer({
      size,
      usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
    });
    const readable = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    try {
      const encoder = device.createCommandEncoder();
      sets.forEach((set, i) => {
        // A query that was never written cannot be resolved everywhere.
        const written = Math.min(QUERIES, 2 * passes - i * QUERIES);
        encoder.resolveQuerySet(set, 0, written, resolved, i * QUERIES * STAMP_BYTES);
      });
      encoder.copyBufferToBuffer(resolved, 0, readable, 0, size);
      device.queue.submit([encoder.finish()]);
      await readable.mapAsync(GPUMapMode.READ);
      const stamps = new BigUint64Array(readable.getMappedRange());
      return Array.from(
        { length: passes },
        (_, i) => [stamps[2 * i] as bigint, stamps[2 * i + 1] as bigint] as const,
      );
    } finally {
      this.destroy();
      resolved.destroy();
      readable.destroy();
    }
  }

  destroy(): void {
    for (const set of this.sets.splice(0)) set.destroy();
  }
}
