// The file format: what it keeps, what it converts, and every way to be damaged.
import { describe, expect, it } from 'vitest';
import { decodeSafetensors, encodeSafetensors } from '../src/index.ts';

const sample = () => ({
  tensors: {
    a: { shape: [2, 2], data: Float32Array.of(1, -2, 3.5, 1e-30) },
    b: { shape: [3], data: Int32Array.of(1, 2, -3) },
    empty: { shape: [0, 4], data: new Float32Array(0) },
    scalar: { shape: [], data: Float32Array.of(7) },
  },
  metadata: { format: 'pt' },
});

/** A file with a header of our choice before `data`. */
function file(header: unknown, data = new Uint8Array(0)): Uint8Array {
  const text = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(data, 8 + text.length);
  return bytes;
}

describe('safetensors', () => {
  it('reads what it wrote, bit for bit', () => {
    expect(decodeSafetensors(encodeSafetensors(sample()), 'file')).toEqual(sample());
  });

  it('aligns the data to eight bytes', () => {
    const bytes = encodeSafetensors(sample());
    expect(Number(new DataView(bytes.buffer).getBigUint64(0, true)) % 8).toBe(0);
  });

  it('converts F16, BF16, F64 and I64', () => {
    const data = new Uint8Array(2 * 5 + 2 * 2 + 8 + 8);
    const view = new DataView(data.buffer);
    [0x3c00, 0xc000, 0x0001, 0x7c00, 0x7bff].forEach((bits, i) => view.setUint16(2 * i, bits, true));
    [0x3f80, 0xc040].forEach((bits, i) => view.setUint16(10 + 2 * i, bits, true));
    view.setFloat64(14, 0.1, true);
    view.setBigInt64(22, -5n, true);
    const { tensors } = decodeSafetensors(
      file(
        {
          half: { dtype: 'F16', shape: [5], data_offsets: [0, 10] },
          brain: { dtype: 'BF16', shape: [2], data_offsets: [10, 14] },
          double: { dtype: 'F64', shape: [1], data_offsets: [14, 22] },
          long: { dtype: 'I64', shape: [1], data_offsets: [22, 30] },
        },
        data,
      ),
      'file',
    );
    expect([...tensors.half!.data]).toEqual([1, -2, 2 ** -24, Infinity, 65504]);
    expect([...tensors.brain!.data]).toEqual([1, -3]);
    expect([...tensors.double!.data]).toEqual([Math.fround(0.1)]);
    expect([...tensors.long!.data]).toEqual([-5]);
  });

  it('refuses a file that ends anywhere too early', () => {
    const bytes = encodeSafetensors(sample());
    for (let length = 0; length < bytes.length; length++) {
      expect(
        () => decodeSafetensors(bytes.subarray(0, length), 'model.safetensors'),
        `${length} bytes`,
      ).toThrow(/model\.safetensors/);
    }
  });

  it('never crashes and never reads out of bounds when a byte of the header is flipped', () => {
    const bytes = encodeSafetensors(sample());
    const header = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
    for (let i = 0; i < header; i++) {
      for (const bit of [1, 16, 128]) {
        const damaged = bytes.slice();
        damaged[i]! ^= bit;
        try {
          const { tensors } = decodeSafetensors(damaged, 'file');
          // What still decodes (a changed name, say) is whole.
          for (const { shape, data } of Object.values(tensors))
            expect(data.length).toBe(shape.reduce((a, b) => a * b, 1));
        } catch (error) {
          expect((error as { code?: string }).code, String(error)).toBe('checkpoint');
        }
      }
    }
  });

  it.each([
    [
      'an offset out of bounds',
      { a: { dtype: 'F32', shape: [2], data_offsets: [0, 8] } },
      4,
      /"a" lies at bytes 0 to 8, outside/,
    ],
    ['a gap', { a: { dtype: 'F32', shape: [1], data_offsets: [4, 8] } }, 8, /begins at byte 4 instead of 0/],
    [
      'an overlap',
      {
        a: { dtype: 'F32', shape: [1], data_offsets: [0, 4] },
        b: { dtype: 'F32', shape: [1], data_offsets: [0, 4] },
      },
      4,
      /"b" begins at byte 0 instead of 4/,
    ],
    [
      'a shape that does not fit',
      { a: { dtype: 'F32', shape: [3], data_offsets: [0, 8] } },
      8,
      /needs 12 bytes, but has 8/,
    ],
    [
      'an unknown dtype',
      { a: { dtype: 'F8_E4M3', shape: [4], data_offsets: [0, 4] } },
      4,
      /dtype F8_E4M3.*Convert/,
    ],
    [
      'bytes too many',
      { a: { dtype: 'F32', shape: [1], data_offsets: [0, 4] } },
      8,
      /take 4 bytes, but 8 bytes of data follow/,
    ],
    ['a damaged entry', { a: 3 }, 0, /entry of tensor "a" is damaged/],
    ['a list as header', [1], 0, /not a JSON object/],
    ['no JSON', '{"a"', 0, /not valid JSON/],
  ])('refuses %s', (_, header, size, message) => {
    expect(() => decodeSafetensors(file(header, new Uint8Array(size)), 'file')).toThrow(message);
  });
});
