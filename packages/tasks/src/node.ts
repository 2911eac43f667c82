// Files, where there is a file system: Node only.
import { isUtf8 } from 'node:buffer';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { MnemixError } from '@mnemix/tensor';
import { tokenizerFromJson } from './tokenizer-json.ts';
import type { Tokenizer } from './tokenizer.ts';

/**
 * The text of a UTF-8 file, without a byte order mark.
 *
 * @throws MnemixError `file` where it is missing, unreadable, empty or not UTF-8 (with the offset of the first bad byte)
 */
export async function readText(path: string): Promise<string> {
  const bytes = await readBytes(path);
  if (bytes.length === 0) throw fileError(path, 'the file is empty.', 'Name a file with text in it.');
  if (!isUtf8(bytes)) {
    const offset = firstInvalidByte(bytes);
    throw fileError(
      path,
      `not UTF-8: the byte at offset ${offset} (0x${(bytes[offset] as number).toString(16)}) begins no character.`,
      'Convert the file to UTF-8, e.g. with iconv.',
      { detail: { offset } },
    );
  }
  return new TextDecoder().decode(bytes);
}

/**
 * A tokenizer from a `tokenizer.json`, with the settings of a `tokenizer_config.json` beside it if there is one.
 *
 * @throws MnemixError `file` where it is missing, unreadable or not a tokenizer
 */
export async function readTokenizer(path: string): Promise<Tokenizer> {
  const json = await readText(path);
  const configPath = join(dirname(path), 'tokenizer_config.json');
  if (!existsSync(configPath)) return tokenizerFromJson(json, { where: path });
  try {
    return tokenizerFromJson(json, { where: path, config: JSON.parse(await readText(configPath)) as object });
  } catch (cause) {
    if (cause instanceof MnemixError) throw cause;
    throw fileError(configPath, 'this is not JSON.', 'Restore the file, or remove it: it is optional.', {
      cause,
    });
  }
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    const reasons: Record<string, string> = { ENOENT: 'there is no such file.', EISDIR: 'this is a folder.' };
    const { code = '', message } = cause as NodeJS.ErrnoException;
    throw fileError(path, reasons[code] ?? `the file cannot be read (${message}).`, 'Check the path.', {
      cause,
    });
  }
}

/** Where the first character begins that is not one. */
function firstInvalidByte(bytes: Uint8Array): number {
  const mayContinue = (end: number): boolean => {
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, end), { stream: true });
      return true;
    } catch {
      return false;
    }
  };
  let [good, bad] = [0, bytes.length];
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (mayContinue(middle)) good = middle;
    else bad = middle;
  }
  // The last bytes may be the start of a character that does not go on as it should.
  while (!isUtf8(bytes.subarray(0, good))) good--;
  return good;
}

function fileError(
  where: string,
  message: string,
  fix: string,
  more: { cause?: unknown; detail?: Record<string, unknown> } = {},
) {
  return new MnemixError({ code: 'file', where, message, fix, ...more });
}
