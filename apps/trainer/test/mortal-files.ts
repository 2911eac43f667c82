// A file system that dies: after a given number of changes nothing more gets through, and the last write is torn.
// Used in place of `node:fs/promises`; what is on disk afterwards is what a kill at that moment leaves.
import type * as files from 'node:fs/promises';

/** Changes that still get through. */
let left = Infinity;

export class Dead extends Error {}

/** Lets `changes` changes happen from now on; the next one fails half done, and so do all after it. */
export const dieAfter = (changes: number): void => void (left = changes);

/** Counts a change. Returns true for the one that is cut short. */
function isLast(): boolean {
  if (left < 0) throw new Dead();
  return left-- === 0;
}

const cut = (_?: void): never => {
  throw new Dead();
};

type Files = typeof files;
type Handle = files.FileHandle;

function mortalHandle(handle: Handle): Handle {
  const torn = (data: string | Uint8Array) => data.slice(0, Math.floor(data.length / 2));
  const mortal: Partial<Record<keyof Handle, unknown>> = {
    write: async (data: string) => (isLast() ? cut(void (await handle.write(torn(data) as string))) : handle.write(data)),
    writeFile: async (data: string) => (isLast() ? cut(void (await handle.writeFile(torn(data)))) : handle.writeFile(data)),
    sync: async () => (isLast() ? cut() : handle.sync()),
    close: () => handle.close(),
  };
  return mortal as Handle;
}

/** The same functions, each of which is the last one to anything for somebody. */
export function mortal(real: Files): Files {
  const change = (name: 'rename' | 'rm' | 'mkdir') => (async (...args: never[]) =>
    isLast() ? cut() : (real[name] as (...args: never[]) => Promise<unknown>)(...args));
  return {
    ...real,
    open: async (path, flags) => {
      if (flags !== 'r' && isLast()) cut();
      return mortalHandle(await real.open(path, flags));
    },
    rename: change('rename') as Files['rename'],
    rm: change('rm') as Files['rm'],
    mkdir: change('mkdir') as Files['mkdir'],
  };
}
