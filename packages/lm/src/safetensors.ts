// The safetensors format over bytes: an 8-byte length, a JSON header, the data. Everything is checked before any of it
// is used, since checkpoints come from disks and networks.
import { MnemixError } from '@mnemix/tensor';

export interface HostTensor {
  readonly shape: readonly number[];
  /** float32 and int32 are kept; F16, BF16 and F64 become float32, I64 becomes int32 on reading. */
  readonly data: Float32Array | Int32Array;
}

export interface SafetensorsFile {
  readonly tensors: Readonly<Record<string, HostTensor>>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The header may be at most this long, as in the reference implementation. */
const MAX_HEADER = 100_000_000;

/** Bytes of a safetensors file with float32 and int32 tensors, in the order given. */
export function encodeSafetensors({ tensors, metadata }: SafetensorsFile): Uint8Array<ArrayBuffer> {
  const header: Record<string, unknown> = Object.keys(metadata).length > 0 ? { __metadata__: metadata } : {};
  let offset = 0;
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    const end = offset + data.byteLength;
    header[name] = { dtype: data instanceof Int32Array ? 'I32' : 'F32', shape, data_offsets: [offset, end] };
    offset = end;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const padded = Math.ceil(text.length / 8) * 8; // so that the data are aligned
  const bytes = new Uint8Array(8 + padded + offset);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(padded), true);
  bytes.fill(0x20, 8, 8 + padded);
  bytes.set(text, 8);
  let position = 8 + padded;
  for (const { data } of Object.values(tensors)) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), position);
    position += data.byteLength;
  }
  return bytes;
}

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/**
 * Reads a whole safetensors file.
 *
 * @param where the file's name, for errors
 * @throws MnemixError `checkpoint` for a truncated or damaged file or an unknown dtype; nothing is returned in part
 */
export function decodeSafetensors(bytes: Uint8Array, where: string): SafetensorsFile {
  const fail = (
    message: string,
    fix = 'Restore the file from its source or from an earlier checkpoint.',
  ): never => {
    throw new MnemixError({ code: 'checkpoint', where, message, fix });
  };
  if (bytes.length < 8) fail(`it has ${bytes.length} bytes, too few for a safetensors file.`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = Number(view.getBigUint64(0, true));
  if (length > MAX_HEADER || length > bytes.length - 8) {
    fail(
      `the header should be ${length} bytes long, but only ${bytes.length - 8} bytes follow: truncated or damaged.`,
    );
  }
  let header: Record<string, unknown> = {};
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(8, 8 + length));
    header = JSON.parse(text) as Record<string, unknown>;
  } catch (cause) {
    throw new MnemixError({
      code: 'checkpoint',
      where,
      message: 'the header is not valid JSON: damaged.',
      fix: 'Restore the file from its source or from an earlier checkpoint.',
      cause,
    });
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header))
    fail('the header is not a JSON object.');

  const { __metadata__: metadata = {}, ...rest } = header;
  const data = bytes.subarray(8 + length);
  const entries = Object.entries(rest).map(
    ([name, entry]) => [name, checkEntry(entry, name, data.length, fail)] as const,
  );
  checkCoverage(entries, data.length, fail);
  const tensors = entries.map(([name, entry]) => [name, convert(entry, data)] as const);
  return { tensors: Object.fromEntries(tensors), metadata: metadata as Record<string, string> };
}

type Fail = (message: string, fix?: string) => never;

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function checkEntry(value: unknown, name: string, size: number, fail: Fail): Entry {
  const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Partial<Record<keyof Entry, unknown>>;
  if (
    typeof dtype !== 'string' ||
    !Array.isArray(shape) ||
    !shape.every(isCount) ||
    !Array.isArray(offsets) ||
    offsets.length !== 2 ||
    !offsets.every(isCount)
  ) {
    return fail(`the header's entry of tensor "${name}" is damaged.`);
  }
  const [begin, end] = offsets as [number, number];
  if (begin > end || end > size)
    fail(`tensor "${name}" lies at bytes ${begin} to ${end}, outside of the ${size} bytes of data.`);
  const width = byteWidths[dtype];
  if (width === undefined) {
    return fail(
      `tensor "${name}" has dtype ${dtype}.`,
      `Convert the checkpoint to one of ${Object.keys(byteWidths).join(', ')}.`,
    );
  }
  const expected = shape.reduce((a: number, b: number) => a * b, width);
  if (expected !== end - begin) {
    fail(
      `tensor "${name}" of shape [${shape.join(', ')}] and dtype ${dtype} needs ${expected} bytes, but has ${end - begin}.`,
    );
  }
  return { dtype, shape, data_offsets: [begin, end] };
}

/** Tensors must fill the data without gaps or overlaps: otherwise an offset was damaged. */
function checkCoverage(entries: readonly (readonly [string, Entry])[], size: number, fail: Fail): void {
  const sorted = [...entries].sort(
    ([, a], [, b]) => a.data_offsets[0] - b.data_offsets[0] || a.data_offsets[1] - b.data_offsets[1],
  );
  let position = 0;
  for (const [
    name,
    {
      data_offsets: [begin, end],
    },
  ] of sorted) {
    if (begin !== position)
      fail(`tensor "${name}" begins at byte ${begin} instead of ${position}: the offsets are damaged.`);
    position = end;
  }
  if (position !== size)
    fail(`the tensors take ${position} bytes, but ${size} bytes of data follow: truncated or damaged.`);
}

const byteWidths: Record<string, number> = { F32: 4, F16: 2, BF16: 2, F64: 8, I32: 4, I64: 8 };

function convert({ dtype, shape, data_offsets: [begin, end] }: Entry, data: Uint8Array): HostTensor {
  // A copy, so that the typed array is aligned and does not hold on to the whole file.
  const { buffer } = new Uint8Array(data.subarray(begin, end));
  switch (dtype) {
    case 'F32':
      return { shape, data: new Float32Array(buffer) };
    case 'I32':
      return { shape, data: new Int32Array(buffer) };
    case 'F64':
      return { shape, data: Float32Array.from(new Float64Array(buffer)) };
    case 'I64':
      return { shape, data: Int32Array.from(new BigInt64Array(buffer), Number) };
    case 'BF16':
      return { shape, data: bfloat16(new Uint16Array(buffer)) };
    default:
      return { shape, data: Float32Array.from(new Uint16Array(buffer), float16) };
  }
}

/** bfloat16 is the upper half of a float32. */
function bfloat16(halves: Uint16Array): Float32Array {
  const words = Uint32Array.from(halves, (half) => half * 0x10000);
  return new Float32Array(words.buffer);
}

function float16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
