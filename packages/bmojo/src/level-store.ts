// A store on disk, over the npm package `level`: LevelDB in Node, IndexedDB in the browser. One process at a time may have it open.
import { Level, type BatchOperation } from 'level';
import { storeError, type MemoryStore } from './store.ts';

/**
 * Opens the store at `location`, a folder (in the browser: a name), which is made where it does not exist.
 *
 * A write is on the disk when its promise resolves, and a process that dies in between leaves all of it or none.
 *
 * @throws MnemixError `store` where it cannot be opened: another process has it, or it is not a folder that may be written
 */
export async function openLevelStore(location: string): Promise<MemoryStore> {
  const where = `openLevelStore(${location})`;
  const db = new Level<string, Uint8Array>(location, { valueEncoding: 'view' });
  const attempt = async <T>(done: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (cause) {
      throw storeError(where, `it could not be ${done}: ${reasonOf(cause)}.`, remedyFor(cause), cause);
    }
  };

  await attempt('opened', () => db.open());

  // A write that fails half-way leaves its torn end in LevelDB's log, and whatever is appended behind that would be lost with it. So
  // writes take turns, and after a failure the database is opened anew, which sets the torn end aside.
  let isTorn = false;
  let last: Promise<unknown> = Promise.resolve();
  const write = (batch: BatchOperation<typeof db, string, Uint8Array>[]): Promise<void> => {
    const done = last.then(async () => {
      if (isTorn) {
        await db.close();
        await db.open();
        isTorn = false;
      }
      try {
        await db.batch(batch, { sync: true });
      } catch (cause) {
        isTorn = db.status === 'open';
        throw cause;
      }
    });
    last = done.catch(() => {});
    return attempt('written', () => done);
  };

  return {
    get: (keys) => attempt('read', () => db.getMany([...keys])),
    put: (entries) => write(entries.map(([key, value]) => ({ type: 'put', key, value }))),
    delete: (keys) => write(keys.map((key) => ({ type: 'del', key }))),
    async *keys(prefix) {
      // Keys are in order, so those with the prefix stand together.
      const iterator = await attempt('read', async () => db.keys({ gte: prefix }));
      try {
        for (;;) {
          const key = await attempt('read', () => iterator.next());
          if (key === undefined || !key.startsWith(prefix)) return;
          yield key;
        }
      } finally {
        await iterator.close();
      }
    },
    close: () =>
      attempt('closed', async () => {
        await last;
        isTorn = false;
        await db.close();
      }),
  };
}

/** `level` says that a database is not open, and in the cause why. */
function rootOf(error: unknown): { readonly code?: string; readonly message: string } {
  const { cause } = error as Error;
  return cause instanceof Error ? rootOf(cause) : (error as Error);
}

const reasonOf = (error: unknown): string => rootOf(error).message.replace(/\.$/, '');

function remedyFor(error: unknown): string {
  switch (rootOf(error).code) {
    case 'LEVEL_LOCKED':
      return 'Close it where it is open, or use another location.';
    case 'LEVEL_CORRUPTION':
      return 'Restore it from a copy, or remove it and begin anew.';
    case 'LEVEL_DATABASE_NOT_OPEN':
      return 'Open it again: it was closed.';
    default:
      return 'Check that the location is a folder that may be written, and that the disk has space.';
  }
}
