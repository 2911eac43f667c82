import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { crc32c, EventWriter, maskedCrc32c } from '../src/tensorboard.ts';
import { temporaryFolder } from './folder.ts';

/** The payloads of a TFRecord file, their checksums verified. */
function readRecords(path: string): Buffer[] {
  const file = readFileSync(path);
  const records: Buffer[] = [];
  for (let at = 0; at < file.length;) {
    const length = Number(file.readBigUInt64LE(at));
    expect(file.readUInt32LE(at + 8)).toBe(maskedCrc32c(file.subarray(at, at + 8)));
    const data = file.subarray(at + 12, at + 12 + length);
    expect(file.readUInt32LE(at + 12 + length)).toBe(maskedCrc32c(data));
    records.push(data);
    at += length + 16;
  }
  return records;
}

type Field = { number: number; value: number | Buffer };

/** The fields of a protocol buffer message. */
function readFields(message: Buffer): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = message[at++] as number;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const key = varint();
    const [number, wire] = [key >> 3, key & 7];
    if (wire === 0) fields.push({ number, value: varint() });
    else if (wire === 1) fields.push({ number, value: message.readDoubleLE((at += 8) - 8) });
    else if (wire === 5) fields.push({ number, value: message.readFloatLE((at += 4) - 4) });
    else {
      const length = varint();
      fields.push({ number, value: message.subarray(at, (at += length)) });
    }
  }
  return fields;
}

const field = (message: Buffer, number: number): Field['value'] | undefined =>
  readFields(message).find((entry) => entry.number === number)?.value;

describe('CRC-32C', () => {
  // The check value of the algorithm, and RFC 3720 appendix B.4.
  it.each([
    ['of "123456789"', Buffer.from('123456789'), 0xe3069283],
    ['of 32 zeros', Buffer.alloc(32), 0x8a9136aa],
    ['of 32 bytes of ones', Buffer.alloc(32, 0xff), 0x62a8ab43],
    ['of nothing', Buffer.alloc(0), 0],
  ])('%s has the published value', (_, data, expected) => {
    expect(crc32c(data)).toBe(expected);
  });
});

describe('an event file', () => {
  it('holds the version, where the session starts, and each scalar with its step', async () => {
    const folder = temporaryFolder();
    {
      await using writer = await EventWriter.create(folder, 300);
      await writer.scalars(301, { 'train/loss': 0.5, 'load/memory 0': 0.25 });
    }
    const [file] = readdirSync(folder);
    expect(file).toMatch(/^events\.out\.tfevents\.\d{10}\./);
    const [version, start, scalars] = readRecords(join(folder, file as string)) as [Buffer, Buffer, Buffer];
    expect(String(field(version, 3))).toBe('brain.Event:2');
    expect(field(start, 2)).toBe(301);
    expect(field(field(start, 7) as Buffer, 1)).toBe(1);
    expect(field(scalars, 2)).toBe(301);
    const values = readFields(field(scalars, 5) as Buffer).map(({ value }) => value as Buffer);
    expect(values.map((value) => [String(field(value, 1)), field(value, 2)])).toEqual([
      ['train/loss', 0.5],
      ['load/memory 0', 0.25],
    ]);
  });
});
