// Products whose sizes fill a large device, and so take the widest tiles. They are too large for central differences: the gradients
// of a linear map are written out in float64.
import { describeOnWebgpu, linear, nd, rows as rowsOf, seededRandom, type NdArray } from '@mnemix/testkit';
import { closeBackend, openBackend } from '@mnemix/tensor';
import { afterAll, beforeAll, it, vi } from 'vitest';
import { groupedLinears, linears, packedSequences, swiGluOfMaps } from '../../src/index.ts';
import { expectToMatch, float32, runOp, type Arrays } from '../op-cases.ts';

// A software adapter takes a while to compile a pipeline.
vi.setConfig({ testTimeout: 300_000 });

const random = seededRandom(31);
const draw = (...shape: number[]): NdArray => float32(random.normals(shape));

function transposed(x: NdArray): NdArray {
  const [rows = 0, columns = 0] = x.shape;
  const y = nd([columns, rows]);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) y.data[j * rows + i] = x.data[i * columns + j]!;
  return y;
}

const sumOf = (parts: readonly NdArray[]): NdArray => {
  const total = nd(parts[0]!.shape);
  for (const { data } of parts) data.forEach((value, i) => (total.data[i]! += value));
  return total;
};

const numbered = (name: string, arrays: readonly NdArray[]): Arrays =>
  Object.fromEntries(arrays.map((array, i) => [`${name}${i}`, array]));

const inputGradient = (weights: readonly NdArray[], dys: readonly NdArray[]): NdArray =>
  sumOf(weights.map((weight, i) => linear(dys[i]!, transposed(weight))));
const weightGradient = (x: NdArray, dy: NdArray): NdArray => linear(transposed(dy), transposed(x));

/** Wide outputs, whose forward product is wide; and wide inputs, whose gradient is. None is a multiple of the tile. */
const cases = [
  { rows: 2047, inputs: 8, widths: [508, 508] },
  { rows: 1790, inputs: 1021, widths: [61, 67] },
];

describeOnWebgpu('products in the widest tiles', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

  it.each(cases)('are right for maps from $inputs to $widths', async ({ rows, inputs, widths }) => {
    const x = draw(rows, inputs);
    const weights = widths.map((width) => draw(width, inputs));
    const dys = widths.map((width) => draw(rows, width));
    const actual = await runOp(
      { x, ...numbered('w', weights) },
      ({ x: given, ...own }) => {
        const layers = Object.values(own).map((weight) => ({ weight }));
        return Object.fromEntries(linears(given!, layers).map((y, i) => [`y${i}`, y]));
      },
      numbered('y', dys),
    );
    const ys = weights.map((weight) => linear(x, weight));
    const slopes = dys.map((dy) => weightGradient(x, dy));
    expectToMatch(actual, {
      outputs: numbered('y', ys),
      gradients: { x: inputGradient(weights, dys), ...numbered('w', slopes) },
    });
  });

  it('are right where one map gates another', async () => {
    const [rows, inputs, width] = [2047, 5, 508];
    const x = draw(rows, inputs);
    const [gate, up] = [draw(width, inputs), draw(width, inputs)];
    const dy = draw(rows, width);
    const actual = await runOp(
      { x, gate, up },
      ({ x: given, gate: w0, up: w1 }) => ({
        y: swiGluOfMaps(given!, { gate: { weight: w0! }, up: { weight: w1! } }),
      }),
      { y: dy },
    );
    const [z, u] = [linear(x, gate), linear(x, up)];
    const [y, dz, du] = [nd(dy.shape), nd(dy.shape), nd(dy.shape)];
    dy.data.forEach((slope, i) => {
      const sigmoid = 1 / (1 + Math.exp(-z.data[i]!));
      const silu = z.data[i]! * sigmoid;
      y.data[i] = silu * u.data[i]!;
      du.data[i] = slope * silu;
      dz.data[i] = slope * u.data[i]! * (sigmoid + silu * (1 - sigmoid));
    });
    expectToMatch(actual, {
      outputs: { y },
      gradients: {
        x: inputGradient([gate, up], [dz, du]),
        gate: weightGradient(x, dz),
        up: weightGradient(x, du),
      },
    });
  });

  it.each(cases)('are right for maps of each group, from $inputs to $widths', async (sizes) => {
    const { rows, inputs, widths } = sizes;
    const segments = [
      { row: 0, start: 1001, length: rows - 1003 },
      { row: 0, start: 0, length: 1000 },
    ];
    const x = draw(rows, inputs);
    const weights = widths.map((width) => segments.map(() => draw(width, inputs)));
    const dys = widths.map((width) => draw(rows, width));
    const actual = await runOp(
      { x, ...numbered('w', weights.flat()) },
      ({ x: given, ...own }) => {
        const each = Object.values(own);
        const layers = widths.map((_, i) => ({ weights: each.slice(2 * i, 2 * i + 2) }));
        const made = groupedLinears(given!, layers, { groups: packedSequences(1, rows, segments) });
        return Object.fromEntries(made.map((y, i) => [`y${i}`, y]));
      },
      numbered('y', dys),
    );
    // Rows of no group have outputs and gradients of 0.
    const ys = widths.map((width) => nd([rows, width]));
    const dx = nd(x.shape);
    const slopes: NdArray[] = [];
    segments.forEach(({ start, length }, group) => {
      const own = (all: NdArray): NdArray => rowsOf(all, start, start + length);
      const ownWeights = weights.map((groups) => groups[group]!);
      ownWeights.forEach((weight, i) => {
        ys[i]!.data.set(linear(own(x), weight).data, start * widths[i]!);
        slopes[2 * i + group] = weightGradient(own(x), own(dys[i]!));
      });
      dx.data.set(inputGradient(ownWeights, dys.map(own)).data, start * inputs);
    });
    expectToMatch(actual, {
      outputs: numbered('y', ys),
      gradients: { x: dx, ...numbered('w', slopes) },
    });
  });
});
