/** A tokenizer.json of the GPT-2 kind: all bytes, the given merges ("a b"), and one special token. */
export function byteLevelBpe(merges: readonly string[]) {
  // GPT-2's alphabet: printable bytes stand for themselves, the others for the characters from U+0100 on.
  const isPrintable = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  let other = 256;
  const alphabet = Array.from({ length: 256 }, (_, byte) =>
    String.fromCodePoint(isPrintable(byte) ? byte : other++),
  );
  const tokens = [...alphabet, ...merges.map((merge) => merge.replace(' ', ''))];
  return {
    version: '1.0',
    added_tokens: [
      {
        id: tokens.length,
        content: '<|end|>',
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
      },
    ],
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      unk_token: null,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: merges.map((merge) => merge.split(' ')),
    },
  };
}
