// Whether synchronous code reads from the device: each read maps a buffer.

/** Runs `run` and counts the buffers that it asks to be mapped. */
export function countReads<T>(run: () => T): { readonly result: T; readonly reads: number } {
  const { prototype } = GPUBuffer;
  const { mapAsync } = prototype;
  let reads = 0;
  prototype.mapAsync = function (...args) {
    reads++;
    return mapAsync.apply(this, args);
  };
  try {
    const result = run();
    return { result, reads };
  } finally {
    prototype.mapAsync = mapAsync;
  }
}
