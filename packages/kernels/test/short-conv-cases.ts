// Sequences that a short convolution has to cope with, its inputs for them, and its definition in float64.
import { nd, rows, seededRandom, shortConvolution, type NdArray } from '@mnemix/testkit';
import type { Segments } from '../src/index.ts';
import { float32, type Arrays } from './op-cases.ts';

export interface ShortConvCase {
  readonly name: string;
  readonly batch: number;
  readonly tokens: number;
  readonly channels: number;
  readonly width: number;
  readonly segments?: Segments;
}

/** Out of order, with an empty document, one shorter than the window, and padding between. */
const ragged: Segments = [
  { row: 1, start: 1, length: 5 },
  { row: 0, start: 0, length: 2 },
  { row: 0, start: 4, length: 0 },
  { row: 0, start: 3, length: 1 },
  { row: 1, start: 6, length: 3 },
];

export const shortConvCases: readonly ShortConvCase[] = [
  { name: 'one token, one channel', batch: 1, tokens: 1, channels: 1, width: 4 },
  { name: 'fewer tokens than taps', batch: 2, tokens: 3, channels: 5, width: 4 },
  { name: 'a dense batch', batch: 2, tokens: 9, channels: 6, width: 4 },
  { name: 'a window of 1', batch: 2, tokens: 4, channels: 3, width: 1 },
  { name: 'a window of 3 and 8 channels', batch: 1, tokens: 5, channels: 8, width: 3 },
  { name: 'ragged documents', batch: 2, tokens: 9, channels: 5, width: 4, segments: ragged },
];

export function shortConvInputs({ batch, tokens, channels, width, segments }: ShortConvCase) {
  const random = seededRandom(7);
  const count = segments?.length ?? batch;
  return {
    x: float32(random.normals([batch * tokens, channels])),
    weight: float32(random.normals([channels, 1, width])),
    bias: float32(random.normals([channels])),
    initialState: float32(random.normals([count, channels, width])),
    dy: float32(random.normals([batch * tokens, channels])),
    dState: float32(random.normals([count, channels, width])),
  };
}

const allOf = ({ batch, tokens, segments }: ShortConvCase): Segments =>
  segments ?? Array.from({ length: batch }, (_, row) => ({ row, start: 0, length: tokens }));

/** y and state. */
export const shortConvOracle =
  (shape: ShortConvCase, activation: 'silu' | 'none') =>
  (inputs: Arrays): { y: NdArray; state: NdArray } => {
    const { x, weight, bias, initialState } = inputs;
    const y = nd(x!.shape);
    const state = nd([allOf(shape).length, shape.channels, shape.width]);
    allOf(shape).forEach(({ row, start, length }, s) => {
      const first = row * shape.tokens + start;
      const part = shortConvolution(rows(x!, first, first + length), weight!, {
        bias,
        activation,
        cache: initialState && nd([shape.channels, shape.width], rows(initialState, s, s + 1).data),
      });
      y.data.set(part.y.data, first * shape.channels);
      state.data.set(part.cache.data, s * shape.channels * shape.width);
    });
    return { y, state };
  };
