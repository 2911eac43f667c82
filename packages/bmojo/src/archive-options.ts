// The options of an archive: checked, with their defaults.
import { checkConfig, checkKeys } from '@mnemix/tensor';
import type { ArchiveReport } from './archived-stream.ts';
import { memoryStore, type MemoryStore } from './store.ts';

export interface ArchiveOptions {
  /** Default `memoryStore()`. Several archives may share one; it is closed by whoever opened it. */
  readonly store?: MemoryStore;
  /** Names what the layer reads. One layer of one stream, and one archive at a time: its entries stand under this name. */
  readonly stream: string;
  /** The layer's `eidetic.recalled`. */
  readonly slots: number;
  /** The layer's `window`. */
  readonly window: number;
  /** Names the weights: entries that were made with others are of no use. Default ''. */
  readonly tag?: string;
  /** Bring back the highest `score` (default), or what is most `similar` to the window: by the dot product of mean keys. */
  readonly choose?: 'score' | 'similar';
  /** Entries that a sequence may have in the store, those on the device included; the lowest score leaves first. Default: any number. */
  readonly capacity?: number;
  /** Called once for each entry that has to be left out. */
  readonly onReport?: (report: ArchiveReport) => void;
}

const OPTIONS = ['store', 'stream', 'slots', 'window', 'tag', 'choose', 'capacity', 'onReport'];

/** @throws MnemixError `config`, naming the option */
export function checkedOptions(options: ArchiveOptions): Required<ArchiveOptions> {
  checkKeys('openArchive: ', options, OPTIONS);
  const { store = memoryStore(), stream, slots, window, tag = '', choose = 'score' } = options;
  const { capacity = Infinity, onReport = () => {} } = options;
  checkConfig(
    typeof stream === 'string' && stream !== '' && !/\p{Surrogate}/u.test(stream),
    'openArchive(stream)',
    `it is ${JSON.stringify(stream)}.`,
    'Name the layer and what it reads, e.g. "chat 17, layer 3".',
  );
  for (const [name, count] of Object.entries({ slots, window, capacity })) {
    checkConfig(
      (Number.isSafeInteger(count) || (name === 'capacity' && count === Infinity)) && count >= 1,
      `openArchive(${name})`,
      `it is ${count}.`,
      'Use a whole number from 1 on.',
    );
  }
  checkConfig(
    choose === 'score' || choose === 'similar',
    'openArchive(choose)',
    `there is no "${String(choose)}".`,
    'Choose score or similar.',
  );
  checkConfig(
    globalThis.crypto?.subtle !== undefined,
    'openArchive',
    'this page has no WebCrypto, by which entries are checked.',
    'Serve it over https, or from localhost.',
  );
  return { store, stream, slots, window, tag, choose, capacity, onReport };
}
