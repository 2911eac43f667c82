// One entry of an archive: a token that was worth keeping, with the span of tokens before it, as bytes under a name. In order:
// format version and length of the header (uint32 each), the header as JSON, keys and values in float32, and the SHA-256 of all that.
// Everything is checked when it is read, since disks and other programs may have changed it.

export interface Entry {
  /** Of the token in its sequence. */
  readonly position: number;
  /** Its rank, by which the memory's policy chose it. */
  readonly score: number;
  /** Tokens that it holds, span + 1. */
  readonly tokens: number;
  /** kvH·D */
  readonly width: number;
  /** [tokens, width] */
  readonly keys: Float32Array;
  readonly values: Float32Array;
}

const VERSION = 1;
const FIXED_BYTES = 8;
const DIGEST_BYTES = 32;

/** How the names of all entries of a stream begin; no stream's is the beginning of another's. */
export const streamPrefix = (stream: string): string => `${encodeURIComponent(stream)}/`;

/** The name of an entry. */
export const entryKey = (prefix: string, sequence: number, position: number): string =>
  `${prefix}${sequence}/${position}`;

/** What {@link entryKey} was made of; `undefined` for the names of others. */
export function parseEntryKey(
  prefix: string,
  key: string,
): { sequence: number; position: number } | undefined {
  const [, sequence, position] = /^(\d+)\/(\d+)$/.exec(key.slice(prefix.length)) ?? [];
  return sequence === undefined ? undefined : { sequence: Number(sequence), position: Number(position) };
}

/** @param tag what the keys and values were made with: those of other weights are of no use */
export async function encodeEntry({ keys, values, ...entry }: Entry, tag: string): Promise<Uint8Array> {
  const text = new TextEncoder().encode(JSON.stringify({ ...entry, tag }));
  const length = Math.ceil(text.length / 4) * 4; // so that the numbers are aligned
  const end = FIXED_BYTES + length + keys.byteLength + values.byteLength;
  const bytes = new Uint8Array(end + DIGEST_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, VERSION, true);
  view.setUint32(4, length, true);
  bytes.fill(0x20, FIXED_BYTES, FIXED_BYTES + length);
  bytes.set(text, FIXED_BYTES);
  const numbers = new Float32Array(bytes.buffer, FIXED_BYTES + length, keys.length + values.length);
  numbers.set(keys);
  numbers.set(values, keys.length);
  bytes.set(await digestOf(bytes.subarray(0, end)), end);
  return bytes;
}

/**
 * Reads an entry.
 *
 * @param expected the tag of the weights in use, and the position that the entry's name tells
 * @returns `corrupt` for bytes that are not as they were written, `stale` for those of another tag or format
 */
export async function decodeEntry(
  bytes: Uint8Array,
  expected: { readonly tag: string; readonly position: number },
): Promise<Entry | 'corrupt' | 'stale'> {
  const own = new Uint8Array(bytes); // a copy: aligned, and of nobody else
  const end = own.length - DIGEST_BYTES;
  if (end < FIXED_BYTES) return 'corrupt';
  const digest = await digestOf(own.subarray(0, end));
  if (digest.some((byte, i) => byte !== own[end + i])) return 'corrupt';
  // What has the right digest is what encodeEntry wrote.
  const view = new DataView(own.buffer);
  if (view.getUint32(0, true) !== VERSION) return 'stale';
  const begin = FIXED_BYTES + view.getUint32(4, true);
  const header = JSON.parse(new TextDecoder().decode(own.subarray(FIXED_BYTES, begin))) as Header;
  const { tag, position, score, tokens, width } = header;
  if (position !== expected.position) return 'corrupt';
  if (tag !== expected.tag) return 'stale';
  const numbers = new Float32Array(own.buffer, begin, (end - begin) / 4);
  const size = tokens * width;
  return {
    position,
    score,
    tokens,
    width,
    keys: numbers.subarray(0, size),
    values: numbers.subarray(size),
  };
}

type Header = Omit<Entry, 'keys' | 'values'> & { readonly tag: string };

const digestOf = async (bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> =>
  new Uint8Array(await globalThis.crypto.subtle.digest('SHA-256', bytes));
