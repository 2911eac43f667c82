import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readText, readTokenizer } from '../src/node.ts';
import { byteLevelBpe } from './byte-level-bpe.ts';

const folder = mkdtempSync(join(tmpdir(), 'mnemix-tasks-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

describe('reading a text', () => {
  it('gives the characters of a UTF-8 file, without a byte order mark', async () => {
    expect(await readText(file('whale.txt', '\uFEFF鯨 and é'))).toBe('鯨 and é');
  });

  it.each<[kind: string, message: string, path: string]>([
    ['missing', 'there is no such file.', join(folder, 'none.txt')],
    ['a folder', 'this is a folder.', folder],
    ['empty', 'the file is empty.', file('empty.txt', '')],
    [
      'Latin-1',
      'not UTF-8: the byte at offset 9 (0xef)',
      file('latin1.txt', Buffer.from('a most naïve text', 'latin1')),
    ],
    [
      'a code page with the bad byte last',
      'not UTF-8: the byte at offset 2 (0xe9)',
      file('last.txt', Uint8Array.of(97, 98, 0xe9)),
    ],
    ['binary', 'not UTF-8: the byte at offset 0 (0xff)', file('binary.txt', Uint8Array.of(255, 1, 2))],
    [
      'cut off within a character',
      'not UTF-8: the byte at offset 1 (0xe2)',
      file('cut.txt', Uint8Array.of(97, 0xe2, 0x93)),
    ],
  ])('refuses a file that is %s', async (_, message, path) => {
    await expect(readText(path)).rejects.toMatchObject({
      name: 'MnemixError',
      code: 'file',
      where: path,
      message: expect.stringContaining(message) as string,
    });
  });
});

describe('reading a tokenizer', () => {
  it('takes the file and the settings beside it', async () => {
    const path = file('tokenizer.json', JSON.stringify(byteLevelBpe(['t h'])));
    expect((await readTokenizer(path)).vocabSize).toBe(258);
    file('tokenizer_config.json', '{"tokenizer_class":"GPT2Tokenizer"}');
    expect((await readTokenizer(path)).name).toBe(path);
  });

  it('names the file that is broken', async () => {
    const path = file('tokenizer.json', JSON.stringify(byteLevelBpe([])));
    const config = file('tokenizer_config.json', '{');
    await expect(readTokenizer(path)).rejects.toMatchObject({ code: 'file', where: config });
    file('tokenizer.json', '{"a":');
    rmSync(config);
    await expect(readTokenizer(path)).rejects.toMatchObject({ code: 'file', where: path });
    await expect(readTokenizer(join(folder, 'none.json'))).rejects.toMatchObject({ code: 'file' });
  });
});
