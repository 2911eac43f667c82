// Where an archive keeps its entries: bytes under names. A store is small on purpose, so that a database, a file system or a
// service can be one.
import { MnemixError } from '@mnemix/tensor';

export interface MemoryStore {
  /** The values of these keys, in their order; `undefined` where there is none. */
  get(keys: readonly string[]): Promise<(Uint8Array | undefined)[]>;
  /** Writes all entries or none. What stands under a key already is replaced. */
  put(entries: readonly (readonly [key: string, value: Uint8Array])[]): Promise<void>;
  /** Keys that are not there are passed over. */
  delete(keys: readonly string[]): Promise<void>;
  /** The keys that begin with `prefix`, in no particular order. */
  keys(prefix: string): AsyncIterable<string>;
  /** After it, everything else rejects. */
  close(): Promise<void>;
}

/** What went wrong in a store. */
export const storeError = (where: string, message: string, fix: string, cause?: unknown): MnemixError =>
  new MnemixError({ code: 'store', where, message, fix, cause });

/** A store in this process's memory, which ends with it. */
export function memoryStore(): MemoryStore {
  let content: Map<string, Uint8Array> | undefined = new Map();
  const open = (): Map<string, Uint8Array> => {
    if (content) return content;
    throw storeError('memoryStore', 'it is closed.', 'Open another one.');
  };
  // Copies on the way in and out: nobody else can change what is stored.
  return {
    async get(keys) {
      const values = open();
      return keys.map((key) => values.get(key)?.slice());
    },
    async put(entries) {
      const values = open();
      for (const [key, value] of entries) values.set(key, value.slice());
    },
    async delete(keys) {
      const values = open();
      for (const key of keys) values.delete(key);
    },
    async *keys(prefix) {
      const found = [...open().keys()].filter((key) => key.startsWith(prefix));
      yield* found;
    },
    async close() {
      content = undefined;
    },
  };
}
