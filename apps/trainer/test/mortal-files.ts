// A file system that dies: after a given number of changes nothing more gets through, and the last write is torn.
// Used in place of `node:fs/promises`; what is on disk afterwards is what a kill at that moment leaves.
import type * as files from 'node:fs/promises';

export class Dead extends Error {}

/** Changes that still get through. */
let left = Infinity;

/** Lets `changes` changes happen from now on; the next one fails half done, and so do all after it. */
export const dieAfter = (changes: number): void => void (left = changes);

/** Makes a change, unless it is the one that dies: then only what is left of it. */
async function change<T>(whole: () => Promise<T>, rest: () => Promise<unknown> = async () => {}): Promise<T> {
  if (left < 0) throw new Dead();
  if (left-- > 0) return whole();
  await rest();
  throw new Dead();
}

type Handle = files.FileHandle;

function mortalHandle(handle: Handle): Handle {
  const half = (data: string | Uint8Array) => data.slice(0, Math.floor(data.length / 2));
  const mortal: Partial<Record<keyof Handle, unknown>> = {
    write: (data: string) =>
      change(
        () => handle.write(data),
        () => handle.write(half(data) as string),
      ),
    writeFile: (data: string) =>
      change(
        () => handle.writeFile(data),
        () => handle.writeFile(half(data)),
      ),
    sync: () => change(() => handle.sync()),
    close: () => handle.close(),
  };
  return mortal as Handle;
}

/** The same functions, each of which may be the last one to be called. */
export function mortal(real: typeof files): typeof files {
  return {
    ...real,
    open: async (path, flags) =>
      mortalHandle(flags === 'r' ? await real.open(path, flags) : await change(() => real.open(path, flags))),
    rename: (from, to) => change(() => real.rename(from, to)),
    rm: (path, options) => change(() => real.rm(path, options)),
    mkdir: ((path, options) => change(() => real.mkdir(path, options))) as typeof files.mkdir,
  };
}
