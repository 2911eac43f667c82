// Tokenizers of the Hugging Face kind (`tokenizer.json`: BPE, WordPiece, Unigram), by way of tokenizers.js.
// A module of its own, so that who does not need them does not load them.
import { Tokenizer as TokenizerJs } from '@huggingface/tokenizers';
import { MnemixError } from '@mnemix/tensor';
import { checkIds, type Tokenizer } from './tokenizer.ts';

export interface TokenizerJsonOptions {
  /** Contents of the `tokenizer_config.json` beside it, if any. */
  readonly config?: object;
  /** Where it comes from, for error messages (default `tokenizer.json`). */
  readonly where?: string;
}

/**
 * A tokenizer from the contents of a `tokenizer.json`. Special tokens are recognised in the text, but none are added
 * around it: a corpus is one long stream.
 *
 * @param json the file's text, or the object in it
 * @throws MnemixError `file` where it is not JSON or not a tokenizer of a known kind; from `encode`, `value` where the
 *   vocabulary cannot express the text
 */
export function tokenizerFromJson(json: string | object, options: TokenizerJsonOptions = {}): Tokenizer {
  const { config = {}, where = 'tokenizer.json' } = options;
  let tokenizer: TokenizerJs;
  try {
    tokenizer = new TokenizerJs(typeof json === 'string' ? JSON.parse(json) : json, config);
  } catch (cause) {
    throw new MnemixError({
      code: 'file',
      where,
      message: `not a tokenizer: ${cause instanceof Error ? cause.message : String(cause)}.`,
      fix: 'Pass the tokenizer.json of a Hugging Face model, whole and unchanged.',
      cause,
    });
  }
  const ids = [...tokenizer.get_vocab(true).values()];
  const vocabSize = ids.reduce((most, id) => Math.max(most, id), -1) + 1;

  return {
    name: where,
    vocabSize,
    encode(text) {
      const encoded = tokenizer.encode(text, { add_special_tokens: false });
      const missing = encoded.ids.findIndex((id) => !Number.isInteger(id));
      if (missing < 0) return Int32Array.from(encoded.ids);
      throw new MnemixError({
        code: 'value',
        where: `${where}: encode(text)`,
        message: `the vocabulary has no token for ${JSON.stringify(encoded.tokens[missing])}.`,
        fix: 'Use a tokenizer with an unknown token or with byte fallback, or remove the characters.',
        detail: { position: missing },
      });
    },
    decode(tokens) {
      checkIds(`${where}: decode(ids)`, tokens, vocabSize);
      return tokenizer.decode(Array.from(tokens), {
        skip_special_tokens: false,
        clean_up_tokenization_spaces: false,
      });
    },
  };
}
