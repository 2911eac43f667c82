import { describe, expect, it } from 'vitest';
import { byteTokenizer, text } from '../src/index.ts';
import { tokenizerFromJson } from '../src/tokenizer-json.ts';
import { byteLevelBpe } from './byte-level-bpe.ts';

const sample = 'The theme: “naïve” 鯨 🐋\n\tthe end ';

describe('the byte tokenizer', () => {
  it('turns text into UTF-8 bytes and back', () => {
    expect(Array.from(byteTokenizer.encode('aé'))).toEqual([97, 195, 169]);
    expect(byteTokenizer.decode(byteTokenizer.encode(`\uFEFF${sample}`))).toBe(`\uFEFF${sample}`);
  });

  it('decodes a torn character to the replacement character', () => {
    expect(byteTokenizer.decode([97, 195])).toBe('a\uFFFD');
  });

  it.each([[256], [-1], [0.5], [NaN]])('refuses to decode %d', (id) => {
    expect(() => byteTokenizer.decode([1, id])).toThrow(`token 1 is ${id}, but ids run from 0 to 255.`);
  });
});

describe('a tokenizer.json', () => {
  const tokenizer = tokenizerFromJson(byteLevelBpe(['t h', 'th e', 'Ġ the']));

  it('encodes with its merges and decodes to the same text', () => {
    expect(tokenizer.vocabSize).toBe(260);
    expect(Array.from(tokenizer.encode('the the'))).toEqual([257, 258]);
    expect(tokenizer.decode(tokenizer.encode(sample))).toBe(sample);
    expect(tokenizer.encode('')).toHaveLength(0);
  });

  it('knows its special tokens, and adds none', () => {
    expect(Array.from(tokenizer.encode('the<|end|>'))).toEqual([257, 259]);
    expect(tokenizer.decode([257, 259])).toBe('the<|end|>');
  });

  it('serves the text task', () => {
    const task = text({ text: 'the '.repeat(100), tokenizer, tokens: 4 });
    expect(task.vocabSize).toBe(260);
    expect(task.config).toMatchObject({ tokenizer: 'tokenizer.json', length: 101 });
  });

  it('may be given as text', () => {
    expect(tokenizerFromJson(JSON.stringify(byteLevelBpe(['t h']))).vocabSize).toBe(258);
  });

  it.each<[string, string | object]>([
    ['broken JSON', '{"model":'],
    ['JSON of something else', { architectures: ['GPT2'] }],
    ['a model without a vocabulary', { ...byteLevelBpe([]), model: { type: 'BPE' } }],
    ['an unknown kind of model', { ...byteLevelBpe([]), model: { type: 'Psychic' } }],
    ['null', 'null'],
  ])('is refused where it is %s', (_, json) => {
    let error: unknown;
    try {
      tokenizerFromJson(json, { where: 'my/tokenizer.json' });
    } catch (caught) {
      error = caught;
    }
    expect(error).toMatchObject({ name: 'MnemixError', code: 'file', where: 'my/tokenizer.json' });
  });

  it('names the characters that its vocabulary cannot express', () => {
    const unigram = {
      ...byteLevelBpe([]),
      pre_tokenizer: null,
      model: {
        type: 'Unigram',
        unk_id: null,
        vocab: [
          ['a', 0],
          ['b', 0],
        ],
      },
    };
    expect(() => tokenizerFromJson(unigram).encode('abc')).toThrow('the vocabulary has no token for "c".');
  });

  it('refuses to decode ids that it does not have', () => {
    expect(() => tokenizer.decode([260])).toThrow('token 0 is 260, but ids run from 0 to 259.');
  });
});
