// What turns text into token ids and back.
import { MnemixError } from '@mnemix/tensor';

export interface Tokenizer {
  readonly name: string;
  /** Token ids are below this. */
  readonly vocabSize: number;
  encode(text: string): Int32Array;
  /** @throws MnemixError `value` for an id outside of the vocabulary */
  decode(ids: ArrayLike<number>): string;
}

/** UTF-8 bytes as tokens: 256 of them, nothing to train or to download. Torn characters decode to U+FFFD. */
export const byteTokenizer: Tokenizer = {
  name: 'bytes',
  vocabSize: 256,
  encode: (text) => Int32Array.from(new TextEncoder().encode(text)),
  decode(ids) {
    checkIds('byteTokenizer.decode(ids)', ids, 256);
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(ids));
  },
};

/** @throws MnemixError `value`, naming the first id that is not an integer in [0, vocabSize) */
export function checkIds(where: string, ids: ArrayLike<number>, vocabSize: number): void {
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i] as number;
    if (Number.isInteger(id) && id >= 0 && id < vocabSize) continue;
    throw new MnemixError({
      code: 'value',
      where,
      message: `token ${i} is ${id}, but ids run from 0 to ${vocabSize - 1}.`,
      fix: 'Use the tokenizer that the ids were made with.',
      detail: { position: i, id, vocabSize },
    });
  }
}
