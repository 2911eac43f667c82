// What the pool keeps and what it gives back, on a device that only counts.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { BufferPool } from '../src/backend/buffer-pool.ts';
import type { MnemixError } from '../src/errors.ts';

const STORAGE = 0x80;
const PERIOD = 10_000;

function poolOnDevice(outcome: () => Promise<object | null> = async () => null) {
  const alive = new Set<object>();
  const device = {
    createBuffer: ({ size, usage }: { size: number; usage: number }) => {
      const buffer = { size, usage, destroy: () => alive.delete(buffer) };
      alive.add(buffer);
      return buffer;
    },
    pushErrorScope: () => {},
    popErrorScope: outcome,
  };
  const failures: MnemixError[] = [];
  const recording = { open: false };
  const pool = new BufferPool({
    device: device as unknown as GPUDevice,
    isRecording: () => recording.open,
    onFailure: (failure) => failures.push(failure),
  });
  return { pool, alive, failures, recording };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('the pool of WebGPU buffers', () => {
  it('uses a freed buffer again where size and usage are the same', () => {
    const { pool, alive } = poolOnDevice();
    const first = pool.acquireBuffer(64, STORAGE);
    pool.releaseBuffer(first);
    expect(pool.acquireBuffer(64, STORAGE)).toBe(first);
    expect(pool.acquireBuffer(64, STORAGE)).not.toBe(first);
    expect(pool.acquireBuffer(64, 0x40)).not.toBe(first);
    expect(alive.size).toBe(3);
    expect(pool).toMatchObject({ numBytesUsed: 192, numBytesAllocated: 192, numFreeBuffers: 0 });
  });

  it('uses the oldest of those that are free, in whatever order they were freed', () => {
    const { pool } = poolOnDevice();
    const buffers = [1, 2, 3].map(() => pool.acquireBuffer(64, STORAGE));
    for (const i of [1, 2, 0]) pool.releaseBuffer(buffers[i]!);
    expect([1, 2, 3].map(() => buffers.indexOf(pool.acquireBuffer(64, STORAGE)))).toEqual([0, 1, 2]);
  });

  it('gives the host no buffer that recorded commands use', () => {
    const { pool, recording } = poolOnDevice();
    recording.open = true;
    const first = pool.acquireBuffer(64, STORAGE);
    pool.releaseBuffer(first);
    const written = pool.acquireForHost(64, STORAGE);
    expect(written).not.toBe(first);
    expect(pool.acquireBuffer(64, STORAGE)).toBe(first);
    for (const buffer of [first, written]) pool.releaseBuffer(buffer);
    recording.open = false;
    pool.afterSubmit();
    // Freed before the submit, used again after it.
    expect(pool.acquireForHost(64, STORAGE)).toBe(first);
    recording.open = true;
    pool.releaseBuffer(first);
    expect(pool.acquireForHost(64, STORAGE)).toBe(written);
  });

  it('keeps what is used at least once in every period', () => {
    const { pool, alive } = poolOnDevice();
    for (let i = 0; i < 50; i++) {
      const buffers = [16, 32, 16].map((size) => pool.acquireBuffer(size, STORAGE));
      for (const buffer of buffers) pool.releaseBuffer(buffer);
      vi.advanceTimersByTime(PERIOD / 3);
    }
    expect(alive.size).toBe(3);
    expect(pool.numBytesAllocated).toBe(64);
  });

  it('gives a peak back once it has lain idle for a whole period', () => {
    const { pool, alive } = poolOnDevice();
    const small = pool.acquireBuffer(16, STORAGE);
    const peak = Array.from({ length: 10 }, () => pool.acquireBuffer(1000, STORAGE));
    for (const buffer of peak) pool.releaseBuffer(buffer);
    vi.advanceTimersByTime(2 * PERIOD);
    expect([...alive]).toEqual([small]);
    expect(pool).toMatchObject({ numBytesAllocated: 16, numFreeBuffers: 0, numUsedBuffers: 1 });
    expect(vi.getTimerCount()).toBe(0);
  });

  it('destroys what lies idle longest before it holds more than twice what was in use at once', () => {
    const { pool } = poolOnDevice();
    for (let size = 100; size < 200; size++) pool.releaseBuffer(pool.acquireBuffer(size, STORAGE));
    expect(pool.numBytesAllocated).toBeLessThanOrEqual(2 * 199);
    const held = pool.numBytesAllocated;
    const newest = pool.acquireBuffer(199, STORAGE);
    expect(pool.numBytesAllocated).toBe(held);
    pool.releaseBuffer(newest);
  });

  it('destroys nothing before commands that were recorded are submitted', () => {
    const { pool, alive, recording } = poolOnDevice();
    recording.open = true;
    for (const size of [100, 200, 400]) pool.releaseBuffer(pool.acquireBuffer(size, STORAGE));
    vi.advanceTimersByTime(2 * PERIOD);
    expect(alive.size).toBe(3);
    expect(pool.numBytesAllocated).toBe(0);
    recording.open = false;
    pool.afterSubmit();
    expect(alive.size).toBe(0);
  });

  it('destroys at once what is not to be used again', () => {
    const { pool, alive } = poolOnDevice();
    pool.releaseBuffer(pool.acquireBuffer(64, STORAGE, true, false), false);
    expect(alive.size).toBe(0);
    expect(pool.numBytesAllocated).toBe(0);
  });

  it('says for whom there was no memory, and how much was asked for', async () => {
    const { pool, failures } = poolOnDevice(async () => ({ message: 'VK_ERROR_OUT_OF_DEVICE_MEMORY' }));
    pool.acquireBuffer(4, STORAGE);
    pool.owner = 'DeltaRule';
    pool.acquireBuffer(3 * 2 ** 30, STORAGE);
    await vi.runAllTimersAsync();
    expect(failures).toMatchObject([
      { code: 'backend', where: 'DeltaRule', message: expect.stringContaining('3.0 GiB') },
    ]);
  });

  it('destroys everything when it is disposed of, and takes nothing back afterwards', () => {
    const { pool, alive } = poolOnDevice();
    const used = pool.acquireBuffer(8, STORAGE);
    pool.releaseBuffer(pool.acquireBuffer(8, STORAGE));
    pool.dispose();
    pool.releaseBuffer(used);
    expect(alive.size).toBe(0);
    expect(pool).toMatchObject({ numFreeBuffers: 0, numUsedBuffers: 0, numBytesAllocated: 0 });
    expect(vi.getTimerCount()).toBe(0);
  });
});
