import { linear, nd, rows, seededRandom, type NdArray } from '@mnemix/testkit';
import { openBackend, tidy, zeros } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import * as portable from '../src/grouped-linear/portable.ts';
import { groupedLinear, packedSequences, uniformSequences, type Segments } from '../src/index.ts';
import { expectToMatch, float32, runOp, runOracle, toTensor, type Arrays } from './op-cases.ts';

/** Lengths of the groups, which need not come in order; 0 rows behind them belong to none. */
const cases = [
  { name: 'one row', segments: [{ row: 0, start: 0, length: 1 }], total: 1, inputs: 3, outputs: 2 },
  {
    name: 'ragged groups, an empty one, rows of none',
    segments: [
      { row: 0, start: 5, length: 3 },
      { row: 0, start: 0, length: 4 },
      { row: 0, start: 4, length: 0 },
      { row: 0, start: 9, length: 2 },
    ],
    total: 13,
    inputs: 5,
    outputs: 7,
  },
  {
    name: 'groups that fill the rows',
    segments: [0, 8, 16].map((start) => ({ row: 0, start, length: 8 })),
    total: 24,
    inputs: 8,
    outputs: 4,
  },
  {
    name: 'groups of more than one block, with odd widths',
    segments: [
      { row: 0, start: 70, length: 66 },
      { row: 0, start: 0, length: 67 },
    ],
    total: 137,
    inputs: 3,
    outputs: 9,
  },
] satisfies { segments: Segments; [key: string]: unknown }[];

function inputsOf({ segments, total, inputs, outputs }: (typeof cases)[number]) {
  const random = seededRandom(8);
  return {
    x: float32(random.normals([total, inputs])),
    weight: float32(random.normals([segments.length, outputs, inputs])),
    bias: float32(random.normals([segments.length, outputs])),
    dy: float32(random.normals([total, outputs])),
  };
}

const oracle =
  ({ segments, total, outputs }: (typeof cases)[number]) =>
  ({ x, weight, bias }: Arrays): { y: NdArray } => {
    const y = nd([total, outputs]);
    segments.forEach(({ start, length }, m) => {
      const matrix = nd(weight!.shape.slice(1), rows(weight!, m, m + 1).data);
      const shift = bias && nd([outputs], rows(bias, m, m + 1).data);
      if (length > 0)
        y.data.set(linear(rows(x!, start, start + length), matrix, shift).data, start * outputs);
    });
    return { y };
  };

describe.each(['cpu', 'wasm'] as const)('groupedLinear on %s', (backend) => {
  beforeAll(() => openBackend(backend));

  it.each(cases)('matches the oracle for $name', async (shape) => {
    const { dy, ...all } = inputsOf(shape);
    const groups = packedSequences(1, shape.total, shape.segments);
    for (const inputs of [all, { x: all.x, weight: all.weight }] as Arrays[]) {
      const actual = await runOp(inputs, (t) => ({ y: groupedLinear(t as never, { groups }) }), { y: dy });
      expectToMatch(actual, runOracle(inputs, oracle(shape), { y: dy }));
    }
  });

  it.each(cases)('its portable form matches the oracle for $name', (shape) => {
    const { dy, ...inputs } = inputsOf(shape);
    const expected = runOracle(inputs, oracle(shape), { y: dy });
    const { starts, lengths, rowSequence } = packedSequences(1, shape.total, shape.segments);
    tidy(() => {
      const [x, weight, bias, slope] = [inputs.x, inputs.weight, inputs.bias, dy].map(toTensor);
      const given = { x: x!, weight: weight!, bias: bias!, starts, lengths, rowSequence };
      expect(portable.forward(given).y).toBeCloseRms(expected.outputs['y']!, 1e-5);
      const { dx, dWeight, dBias } = portable.backward({ ...given, dy: slope! });
      expect(dx).toBeCloseRms(expected.gradients['x']!, 1e-4);
      expect(dWeight).toBeCloseRms(expected.gradients['weight']!, 1e-4);
      expect(dBias).toBeCloseRms(expected.gradients['bias']!, 1e-4);
    });
  });

  it('takes no rows', async () => {
    const inputs = { x: nd([0, 3]), weight: nd([2, 4, 3], new Float64Array(24).fill(1)) };
    const groups = uniformSequences(2, 0);
    const actual = await runOp(inputs, (t) => ({ y: groupedLinear(t as never, { groups }) }), {
      y: nd([0, 4]),
    });
    expect(actual.outputs['y']!.shape).toEqual([0, 4]);
    expect(Array.from(actual.gradients['weight']!.data)).toEqual(Array(24).fill(0));
  });

  it('names the argument of a wrong shape', () => {
    const groups = uniformSequences(2, 3);
    expect(() => groupedLinear({ x: zeros([6, 4]), weight: zeros([3, 5, 4]) }, { groups })).toThrow(
      /groupedLinear\(weight\): expected shape \[2, out, in=4\], found \[3, 5, 4\]/,
    );
    expect(() => groupedLinear({ x: zeros([5, 4]), weight: zeros([2, 5, 4]) }, { groups })).toThrow(
      /groupedLinear\(x\)/,
    );
  });
});
