import { nd, rows, seededRandom, shortConvolution, type NdArray } from '@mnemix/testkit';
import { openBackend, zeros } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { batchSequences, shortConv, uniformSequences, type Segments } from '../src/index.ts';
import { expectToMatch, float32, runOp, runOracle, toTensor, type Arrays } from './op-cases.ts';

interface Case {
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

const cases: Case[] = [
  { name: 'one token, one channel', batch: 1, tokens: 1, channels: 1, width: 4 },
  { name: 'fewer tokens than taps', batch: 2, tokens: 3, channels: 5, width: 4 },
  { name: 'a dense batch', batch: 2, tokens: 9, channels: 6, width: 4 },
  { name: 'a window of 1', batch: 2, tokens: 4, channels: 3, width: 1 },
  { name: 'a window of 3 and 8 channels', batch: 1, tokens: 5, channels: 8, width: 3 },
  { name: 'ragged documents', batch: 2, tokens: 9, channels: 5, width: 4, segments: ragged },
];

function inputsOf({ batch, tokens, channels, width, segments }: Case) {
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

const allOf = ({ batch, tokens, segments }: Case): Segments =>
  segments ?? Array.from({ length: batch }, (_, row) => ({ row, start: 0, length: tokens }));

const oracle =
  (shape: Case, activation: 'silu' | 'none') =>
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

describe.each(['cpu', 'wasm'] as const)('shortConv on %s', (backend) => {
  beforeAll(() => openBackend(backend));

  describe.each(cases)('for $name', (shape) => {
    const run = (inputs: Arrays, activation: 'silu' | 'none', upstream: Arrays) => {
      const sequences = batchSequences(shape.batch, shape.tokens, shape.segments);
      return runOp(inputs, (t) => shortConv(t as never, { sequences, activation }), upstream);
    };

    it('matches the oracle with bias and state', async () => {
      const { dy, dState, ...inputs } = inputsOf(shape);
      for (const activation of ['silu', 'none'] as const) {
        const actual = await run(inputs, activation, { y: dy, state: dState });
        expectToMatch(actual, runOracle(inputs, oracle(shape, activation), { y: dy, state: dState }));
      }
    });

    it('matches the oracle without', async () => {
      const { x, weight, dy } = inputsOf(shape);
      const actual = await run({ x, weight }, 'silu', { y: dy });
      expectToMatch(actual, runOracle({ x, weight }, oracle(shape, 'silu'), { y: dy }));
    });
  });

  it('a sequence split in two, with the state carried, gives the same as the whole', async () => {
    const { x, weight } = inputsOf({ name: '', batch: 1, tokens: 11, channels: 6, width: 4 });
    const run = (part: NdArray, initialState?: NdArray) =>
      runOp(
        { x: part, weight, ...(initialState && { initialState }) },
        (t) => shortConv(t as never, { sequences: uniformSequences(1, part.shape[0]!) }),
        { y: part },
      );
    const whole = await run(x);
    for (const at of [1, 2, 5, 10]) {
      const first = await run(rows(x, 0, at));
      const second = await run(rows(x, at, 11), first.outputs['state']);
      expect(Array.from(first.outputs['y']!.data).concat(Array.from(second.outputs['y']!.data))).toEqual(
        Array.from(whole.outputs['y']!.data),
      );
      expect(second.outputs['state']).toEqual(whole.outputs['state']);
    }
  });

  it('takes sequences without tokens', async () => {
    const { weight, initialState } = inputsOf({ name: '', batch: 2, tokens: 1, channels: 3, width: 4 });
    const sequences = uniformSequences(2, 0);
    const inputs = { x: nd([0, 3]), weight, initialState };
    const actual = await runOp(inputs, (t) => shortConv(t as never, { sequences }), { state: initialState });
    expect(actual.outputs['state']).toEqual(initialState);
    expect(actual.gradients['initialState']).toEqual(initialState);
    expect(Array.from(actual.gradients['weight']!.data)).toEqual(Array(12).fill(0));
  });

  it('says what is wrong with its arguments', () => {
    const sequences = uniformSequences(1, 2);
    const x = zeros([2, 3]);
    expect(() => shortConv({ x, weight: zeros([4, 1, 4]) }, { sequences })).toThrow(
      /shortConv\(weight\): expected shape \[D=3, 1, W\]/,
    );
    expect(() => shortConv({ x, weight: zeros([3, 1, 0]) }, { sequences })).toThrow(/the window has width 0/);
    expect(() => shortConv({ x: toTensor(nd([3, 3])), weight: zeros([3, 1, 4]) }, { sequences })).toThrow(
      /shortConv\(x\)/,
    );
  });
});
