/**
 * Reads the golden data's safetensors files. For tests only: it trusts the files more than the product's
 * reader may.
 */
import { readFileSync } from 'node:fs';
import { nd, sizeOf, type NdArray } from './array.ts';

/** A tensor as stored: F32 or I32, row-major. */
export interface GoldenTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array;
}

/** The content of one file. */
export interface SafetensorsFile {
  /** The header's `__metadata__`, empty if there is none. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: Readonly<Record<string, GoldenTensor>>;
}

interface HeaderEntry {
  readonly dtype: string;
  readonly shape: number[];
  readonly data_offsets: [number, number];
}

/**
 * Layout: u64 length of the header, the header as JSON, then the tensors' bytes at offsets relative to its
 * end.
 * @throws Error on a dtype other than F32 and I32, or a tensor whose bytes do not fill its shape.
 */
export function readSafetensors(path: string): SafetensorsFile {
  const file = readFileSync(path);
  const headerLength = Number(file.readBigUInt64LE(0));
  const { __metadata__: metadata = {}, ...entries } = JSON.parse(
    file.toString('utf8', 8, 8 + headerLength),
  ) as Record<string, HeaderEntry> & { __metadata__?: Record<string, string> };

  const tensors: Record<string, GoldenTensor> = {};
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(entries)) {
    const [begin, end] = data_offsets.map((offset) => 8 + headerLength + offset) as [number, number];
    // Copied, because a typed array must start at a multiple of its element size.
    const bytes = Uint8Array.from(file.subarray(begin, end)).buffer;
    if (dtype !== 'F32' && dtype !== 'I32')
      throw new Error(`${path}: ${name} has dtype ${dtype}, expected F32 or I32`);
    if (bytes.byteLength !== 4 * sizeOf(shape)) {
      throw new Error(
        `${path}: ${name} holds ${bytes.byteLength} bytes, shape [${shape}] needs ${4 * sizeOf(shape)}`,
      );
    }
    tensors[name] = { shape, data: dtype === 'F32' ? new Float32Array(bytes) : new Int32Array(bytes) };
  }
  return { metadata, tensors };
}

/** The same values in float64. */
export function toFloat64(tensor: GoldenTensor): NdArray {
  return nd(tensor.shape, tensor.data);
}

/** A whole parameter record in float64. */
export function parametersToFloat64(
  tensors: Readonly<Record<string, GoldenTensor>>,
): Record<string, NdArray> {
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, toFloat64(tensor)]));
}
