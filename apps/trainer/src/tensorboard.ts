// TensorBoard event files, scalars only: TFRecord framing with masked CRC-32C around hand-laid protocol buffers
// (tensorflow/core/util/event.proto and tensorflow/core/lib/io/record_writer.h). No maintained package writes them.
import { open, type FileHandle } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';

/** Writes scalars where TensorBoard finds them: `tensorboard --logdir <run folder>`. */
export class EventWriter {
  private constructor(
    private readonly file: FileHandle,
    /** What opens a file; written together with the first scalars. */
    private opening: readonly Uint8Array[],
  ) {}

  /**
   * Starts a new event file.
   *
   * @param afterStep TensorBoard shall forget what earlier files of the folder say about later steps
   */
  static async create(folder: string, afterStep: number): Promise<EventWriter> {
    const now = Date.now();
    const time = `${String(Math.floor(now / 1000)).padStart(10, '0')}.${hostname()}.${process.pid}.${now % 1000}`;
    const file = await open(join(folder, `events.out.tfevents.${time}`), 'a');
    const sessionStart = varintField(1, 1);
    const version = event(0, stringField(3, 'brain.Event:2'));
    return new EventWriter(file, [version, event(afterStep + 1, bytesField(7, sessionStart))]);
  }

  /** Writes one event with all the given values, e.g. `{ 'train/loss': 0.5 }`. */
  async scalars(step: number, values: Readonly<Record<string, number>>): Promise<void> {
    const summary = Object.entries(values).map(([tag, value]) =>
      bytesField(1, Buffer.concat([stringField(1, tag), floatField(2, value)])),
    );
    const events = [...this.opening, event(step, bytesField(5, Buffer.concat(summary)))];
    this.opening = [];
    await this.file.write(Buffer.concat(events.map(record)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.file.close();
  }
}

/** An `Event` message; its payload is an already encoded field. */
const event = (step: number, payload: Uint8Array): Buffer =>
  Buffer.concat([doubleField(1, Date.now() / 1000), varintField(2, step), payload]);

/** A TFRecord: length, its checksum, data, its checksum. */
function record(data: Uint8Array): Buffer {
  const frame = Buffer.alloc(data.length + 16);
  frame.writeBigUInt64LE(BigInt(data.length), 0);
  frame.writeUInt32LE(maskedCrc32c(frame.subarray(0, 8)), 8);
  frame.set(data, 12);
  frame.writeUInt32LE(maskedCrc32c(data), 12 + data.length);
  return frame;
}

// Protocol buffers: a field is its number and wire type, then the value (0 varint, 1 64-bit, 2 bytes, 5 32-bit).
function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  return Buffer.from([...bytes, rest]);
}

const key = (field: number, wireType: number): Buffer => varint(field * 8 + wireType);
const varintField = (field: number, value: number): Buffer => Buffer.concat([key(field, 0), varint(value)]);
const bytesField = (field: number, value: Uint8Array): Buffer =>
  Buffer.concat([key(field, 2), varint(value.length), value]);
const stringField = (field: number, value: string): Buffer => bytesField(field, Buffer.from(value));

function doubleField(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return Buffer.concat([key(field, 1), bytes]);
}

function floatField(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return Buffer.concat([key(field, 5), bytes]);
}

/** The Castagnoli polynomial, reflected. */
const POLYNOMIAL = 0x82f63b78;

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
  return crc;
});

/** CRC-32C, as unsigned 32 bits. */
export function crc32c(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) crc = (table[(crc ^ byte) & 0xff] as number) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** TFRecord's rotation of a checksum, so that data may contain checksums of itself. */
export function maskedCrc32c(data: Uint8Array): number {
  const crc = crc32c(data);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
