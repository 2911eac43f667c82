import { linear as linearOracle, nd, seededRandom, type NdArray } from '@mnemix/testkit';
import { concat, openBackend, split, tidy, zeros, type Tensor2D } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { named } from '../src/join-rows/parts.ts';
import { mapsOfList } from '../src/linear/list.ts';
import * as portable from '../src/linear/portable.ts';
import * as wasm from '../src/linear/wasm.ts';
import { linear } from '../src/index.ts';
import { expectToMatch, float32, runOp, runOracle, toTensor, type Arrays, type Tensors } from './op-cases.ts';

const cases = [
  { rows: 1, inputs: 1, outputs: 1 },
  { rows: 1, inputs: 7, outputs: 9 },
  { rows: 4, inputs: 4, outputs: 8 },
  { rows: 6, inputs: 3, outputs: 2 },
  { rows: 9, inputs: 16, outputs: 5 },
  { rows: 67, inputs: 5, outputs: 11 },
];

/** More than one block of rows and one chunk of columns: too large for central differences. */
const largeCases = [
  { rows: 130, inputs: 66, outputs: 33 },
  { rows: 65, inputs: 263, outputs: 270 },
];

type Case = (typeof cases)[number];

function inputsOf({ rows, inputs, outputs }: Case) {
  const random = seededRandom(12);
  return {
    x: float32(random.normals([rows, inputs])),
    weight: float32(random.normals([outputs, inputs])),
    bias: float32(random.normals([outputs])),
    dy: float32(random.normals([rows, outputs])),
  };
}

const oracle = ({ x, weight, bias }: Arrays): { y: NdArray } => ({ y: linearOracle(x!, weight!, bias) });

function transpose({ shape: [rows = 0, columns = 0], data }: NdArray): NdArray {
  const y = nd([columns, rows]);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) y.data[c * rows + r] = data[r * columns + c] as number;
  }
  return y;
}

describe.each(['cpu', 'wasm'] as const)('linear on %s', (backend) => {
  beforeAll(() => openBackend(backend));

  it.each(cases)('matches the oracle for $rows rows, $inputs to $outputs', async (shape) => {
    const { dy, ...all } = inputsOf(shape);
    for (const inputs of [all, { x: all.x, weight: all.weight }] as Arrays[]) {
      const actual = await runOp(inputs, (t) => ({ y: linear(t as never) }), { y: dy });
      expectToMatch(actual, runOracle(inputs, oracle, { y: dy }));
    }
  });

  it.each(largeCases)('has the right gradients for $rows rows, $inputs to $outputs', async (shape) => {
    const { dy, ...inputs } = inputsOf(shape);
    const { x, weight } = inputs;
    const actual = await runOp(inputs, (t) => ({ y: linear(t as never) }), { y: dy });
    expectToMatch(actual, {
      outputs: oracle(inputs),
      gradients: {
        x: linearOracle(dy, transpose(weight)),
        weight: linearOracle(transpose(dy), transpose(x)),
        bias: nd(
          [shape.outputs],
          linearOracle(transpose(dy), nd([1, shape.rows], new Float64Array(shape.rows).fill(1))).data,
        ),
      },
    });
  });

  it.each(cases)('its portable form matches the oracle for $rows rows, $inputs to $outputs', (shape) => {
    const { dy, ...inputs } = inputsOf(shape);
    const expected = runOracle(inputs, oracle, { y: dy });
    tidy(() => {
      const [x, weight, bias, slope] = [inputs.x, inputs.weight, inputs.bias, dy].map(toTensor);
      const given = { x: x!, weight: weight!, bias: bias! };
      expect(portable.forward(given).y).toBeCloseRms(expected.outputs['y']!, 1e-5);
      const { dx, dWeight, dBias } = portable.backward({ ...given, dy: slope! });
      expect(dx).toBeCloseRms(expected.gradients['x']!, 1e-4);
      expect(dWeight).toBeCloseRms(expected.gradients['weight']!, 1e-4);
      expect(dBias).toBeCloseRms(expected.gradients['bias']!, 1e-4);
    });
  });

  // What WebGPU has kernels for.
  it.each([[[8, 1, 4, 16]], [[7]], [[3, 4, 2]]])('maps by a list of weights, %j', async (widths) => {
    const total = widths.reduce((a, b) => a + b);
    const { x } = inputsOf({ rows: 9, inputs: 5, outputs: total });
    const random = seededRandom(13);
    const weights = Object.fromEntries(
      widths.map((width, i) => [`w${i}`, float32(random.normals([width, 5]))]),
    );
    const upstream = Object.fromEntries(
      widths.map((width, i) => [`y${i}`, float32(random.normals([9, width]))]),
    );
    const numbered = <T>(made: readonly T[]) => Object.fromEntries(made.map((y, i) => [`y${i}`, y]));
    const separate = ({ x: given, ...own }: Arrays): Arrays =>
      numbered(Object.values(own).map((weight) => linearOracle(given!, weight)));
    const expected = runOracle({ x, ...weights }, separate, upstream);
    const joined = ({ x: given, ...own }: Tensors) => numbered(mapsOfList(given!, Object.values(own)).maps);
    expectToMatch(await runOp({ x, ...weights }, joined, upstream), expected);
    // And x, used again.
    const again = { ...upstream, rows: float32(random.normals([9, 5])) };
    const passed = ({ x: given, ...own }: Tensors) => {
      const { maps, rows } = mapsOfList(given!, Object.values(own));
      return { ...numbered(maps), rows };
    };
    const used = runOracle({ x, ...weights }, (all) => ({ ...separate(all), rows: all['x']! }), again);
    expectToMatch(await runOp({ x, ...weights }, passed, again), used);
    // With the weights as they are.
    tidy(() => {
      const list = named(Object.values(weights).map(toTensor));
      const given = { x: toTensor(x), weight: undefined, ...list };
      const dy = concat(Object.values(upstream).map(toTensor) as Tensor2D[], 1);
      const { dx, ...slopes } = portable.backwardOfList({ ...given, dy });
      const { y } = portable.forwardOfList(given);
      split(y, widths, 1).forEach((own, i) => {
        expect(own).toBeCloseRms(expected.outputs[`y${i}`]!, 1e-5);
      });
      expect(dx).toBeCloseRms(expected.gradients['x']!, 1e-4);
      widths.forEach((_, i) => {
        expect(slopes[`dPart${i}`], `dPart${i}`).toBeCloseRms(expected.gradients[`w${i}`]!, 1e-4);
      });
    });
  });

  it('takes no rows', async () => {
    const inputs = { x: nd([0, 3]), weight: nd([4, 3], new Float64Array(12).fill(1)), bias: nd([4]) };
    const actual = await runOp(inputs, (t) => ({ y: linear(t as never) }), { y: nd([0, 4]) });
    expect(actual.outputs['y']!.shape).toEqual([0, 4]);
    expect(actual.gradients['x']!.shape).toEqual([0, 3]);
    expect(Array.from(actual.gradients['weight']!.data)).toEqual(Array(12).fill(0));
    expect(Array.from(actual.gradients['bias']!.data)).toEqual(Array(4).fill(0));
  });

  it('keeps what is not a number in its row', async () => {
    const { dy: _, ...inputs } = inputsOf({ rows: 6, inputs: 5, outputs: 9 });
    inputs.x.data[5] = NaN;
    const y = tidy(() => linear({ x: toTensor(inputs.x), weight: toTensor(inputs.weight) }).arraySync());
    expect(y.map((row) => row.every(Number.isNaN))).toEqual([false, true, false, false, false, false]);
    expect(y.map((row) => row.some(Number.isNaN))).toEqual([false, true, false, false, false, false]);
  });

  it('names the argument of a wrong shape', () => {
    expect(() => linear({ x: zeros([6, 4]), weight: zeros([3, 5]) })).toThrow(
      /linear\(weight\): expected shape \[out=3, in=4\], found \[3, 5\]/,
    );
    expect(() => linear({ x: zeros([6, 4]), weight: zeros([3, 4]), bias: zeros([4]) })).toThrow(
      /linear\(bias\)/,
    );
  });
});

it('leaves large products to a backend with many threads', () => {
  const backend = { wasm: { tfjs: { getThreadsCount: () => 4 } } };
  const [x, weight, bias] = [zeros([4096, 128]), zeros([128, 128]), zeros([128])];
  const call = { op: 'Linear', attrs: {}, backend };
  expect(wasm.forward.wasm({ ...call, inputs: { x, weight, bias } })).toBeUndefined();
  expect(wasm.backward.wasm({ ...call, inputs: { x, weight, bias, dy: x } })).toBeUndefined();
});
