// What the scans' public functions share: their options, and the case of no tokens at all.
import { checkConfig, zeros, type Tensor } from '@mnemix/tensor';
import type { Sequences } from '../sequences.ts';
import type { SequenceSizes, SequenceTensors } from './chunk-layout.ts';

/** The algorithm of a scan. Both give the same values up to rounding. */
export type ScanForm = 'chunk' | 'recurrent';

export interface ScanOptions {
  /** Where the sequences lie in the rows. */
  readonly sequences: Sequences;
  /** Factor of the reads, dk^-1/2 if left out. */
  readonly scale?: number | undefined;
  /** Tokens that the chunk form takes at once: at most 16, or a multiple of 16. 64 if left out. */
  readonly chunkSize?: number | undefined;
  /**
   * Chunks of 64 tokens that a kernel on WebGPU walks one after the other, before a longer sequence is cut; left out, what keeps a
   * large card busy.
   */
  readonly segmentChunks?: number | undefined;
  /** Asks for a form in plain tensor ops; left out, the fastest that the backend has runs. */
  readonly form?: ScanForm | undefined;
}

export type ScanAttrs = SequenceSizes & {
  readonly scale: number;
  readonly chunkSize: number;
  readonly segmentChunks?: number | undefined;
  readonly form?: ScanForm | undefined;
};

type Sizes = Record<string, number>;

/** @throws MnemixError `config` where chunkSize is not possible */
export function scanAttrs(where: string, options: ScanOptions, { dk = 1 }: Sizes): ScanAttrs {
  const { sequences, scale = dk ** -0.5, chunkSize = 64, segmentChunks, form } = options;
  const { rows, count, maxLength, isFull, uniform } = sequences;
  checkConfig(
    Number.isInteger(chunkSize) && chunkSize > 0 && (chunkSize <= 16 || chunkSize % 16 === 0),
    `${where}(chunkSize)`,
    `expected 1 to 16 or a multiple of 16, found ${chunkSize}.`,
    'Pass chunkSize: 64, or leave it out.',
  );
  checkConfig(
    segmentChunks === undefined || (Number.isInteger(segmentChunks) && segmentChunks > 0),
    `${where}(segmentChunks)`,
    `expected a whole number from 1 on, found ${segmentChunks}.`,
    'Leave segmentChunks out.',
  );
  return { rows, count, maxLength, isFull, uniform, scale, chunkSize, segmentChunks, form };
}

export const sequenceTensors = ({ starts, lengths, rowSequence }: Sequences): SequenceTensors => ({
  starts,
  lengths,
  rowSequence,
});

/** The result of a scan over sequences that are all empty: every row is padding, and states pass through. */
export function emptyScan(
  initialState: Tensor | undefined,
  { rows, count }: Sequences,
  sizes: Sizes,
): { o: Tensor; state: Tensor } {
  const { H = 0, dk = 0, dv = 0 } = sizes;
  return { o: zeros([rows, H, dv]), state: initialState?.clone() ?? zeros([count, H, dk, dv]) };
}

/** The form that plain tensor ops take: single tokens are cheapest as they are. */
export const portableForm = ({ form, maxLength }: ScanAttrs): ScanForm =>
  form ?? (maxLength === 1 ? 'recurrent' : 'chunk');
