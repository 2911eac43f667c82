// Several maps of the same rows as one product.
import { describeOnWebgpu, linear as linearOracle, nd, seededRandom, type NdArray } from '@mnemix/testkit';
import { closeBackend, memory, openBackend } from '@mnemix/tensor';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { groupedLinears, linears, linearsAndRows, packedSequences, swiGluOfMaps } from '../../src/index.ts';
import { expectToMatch, float32, runOp, runOracle, toTensor, type Arrays } from '../op-cases.ts';

// A software adapter takes a while to compile a pipeline.
vi.setConfig({ testTimeout: 300_000 });

/** Enough to be joined. */
const rows = 64;
const inputs = 4;

const draw = (widths: readonly number[]): { x: NdArray; weights: Arrays } => {
  const random = seededRandom(21);
  return {
    x: float32(random.normals([rows, inputs])),
    weights: Object.fromEntries(
      widths.map((width, i) => [`w${i}`, float32(random.normals([width, inputs]))]),
    ),
  };
};

describeOnWebgpu('several maps', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

  it.each([{ widths: [8, 4, 12] }, { widths: [5, 2] }, { widths: [16, 1, 4, 16] }])(
    'give what each gives, $widths wide',
    async ({ widths }) => {
      const { x, weights } = draw(widths);
      const random = seededRandom(22);
      const upstream = Object.fromEntries(
        widths.map((width, i) => [`y${i}`, float32(random.normals([rows, width]))]),
      );
      const actual = await runOp(
        { x, ...weights },
        ({ x: given, ...own }) => {
          const made = linears(
            given!,
            Object.values(own).map((weight) => ({ weight })),
          );
          return Object.fromEntries(made.map((y, i) => [`y${i}`, y]));
        },
        upstream,
      );
      const oracle = ({ x: given, ...own }: Arrays): Arrays =>
        Object.fromEntries(Object.values(own).map((weight, i) => [`y${i}`, linearOracle(given!, weight)]));
      expectToMatch(actual, runOracle({ x, ...weights }, oracle, upstream));
    },
  );

  it.each([4, 7])('pass on their %i inputs, whose gradients are added to theirs', async (width) => {
    const random = seededRandom(25);
    const normals = (...shape: number[]) => float32(random.normals(shape));
    const given = { x: normals(rows, width), w0: normals(8, width), w1: normals(5, width) };
    const upstream = { y0: normals(rows, 8), y1: normals(rows, 5), rows: normals(rows, width) };
    const actual = await runOp(
      given,
      ({ x, w0, w1 }) => {
        const made = linearsAndRows(x!, [{ weight: w0! }, { weight: w1! }]);
        return { y0: made.maps[0]!, y1: made.maps[1]!, rows: made.rows };
      },
      upstream,
    );
    const oracle = ({ x, w0, w1 }: Arrays): Arrays => ({
      y0: linearOracle(x!, w0!),
      y1: linearOracle(x!, w1!),
      rows: x!,
    });
    expectToMatch(actual, runOracle(given, oracle, upstream));
  });

  it('are joined around one with a bias, which is a product of its own', async () => {
    const { x, weights } = draw([8, 5, 4]);
    const random = seededRandom(24);
    const bias = float32(random.normals([5]));
    const given = { x, ...weights, bias };
    const upstream = Object.fromEntries(
      [8, 5, 4].map((width, i) => [`y${i}`, float32(random.normals([rows, width]))]),
    );
    const actual = await runOp(
      given,
      ({ x: own, w0, w1, w2, bias: b }) => {
        const layers = [{ weight: w0! }, { weight: w1!, bias: b! }, { weight: w2! }];
        return Object.fromEntries(linears(own!, layers).map((y, i) => [`y${i}`, y]));
      },
      upstream,
    );
    const oracle = ({ x: own, w0, w1, w2, bias: b }: Arrays): Arrays => ({
      y0: linearOracle(own!, w0!),
      y1: linearOracle(own!, w1!, b),
      y2: linearOracle(own!, w2!),
    });
    expectToMatch(actual, runOracle(given, oracle, upstream));
  });

  it.each([2, 6])('leave nothing behind outside of a tidy, %i of them', async (count) => {
    const random = seededRandom(26);
    const normals = (...shape: number[]) => toTensor(float32(random.normals(shape)));
    const x = normals(rows, inputs);
    const weights = Array.from({ length: count }, () => normals(4, inputs));
    const layers = weights.map((weight) => ({ weight }));
    const before = memory().numTensors;
    const made = linears(x, layers);
    expect(memory().numTensors).toBe(before + count);
    made.push(swiGluOfMaps(x, { gate: layers[0]!, up: layers[1]! }));
    const groups = packedSequences(1, rows, [{ row: 0, start: 0, length: rows }]);
    const withGroups = memory().numTensors;
    const biases = [normals(4)];
    const ofGroups = groupedLinears(
      x,
      weights.map((weight) => ({ weights: [weight], biases })),
      { groups },
    );
    expect(memory().numTensors).toBe(withGroups + 1 + count);
    expect(await ofGroups[0]!.data()).toHaveLength(4 * rows);
    for (const tensor of [x, ...weights, ...made, ...biases, ...ofGroups]) tensor.dispose();
  });

  it.each([8, 5])('gate one another, %s wide', async (width) => {
    const { x, weights } = draw([width, width]);
    const given = { x, ...weights };
    const upstream = { y: float32(seededRandom(23).normals([rows, width])) };
    const actual = await runOp(
      given,
      ({ x: own, w0, w1 }) => ({ y: swiGluOfMaps(own!, { gate: { weight: w0! }, up: { weight: w1! } }) }),
      upstream,
    );
    const oracle = ({ x: own, w0, w1 }: Arrays): Arrays => {
      const up = linearOracle(own!, w1!).data;
      const gated = linearOracle(own!, w0!).data.map((z, i) => (z / (1 + Math.exp(-z))) * up[i]!);
      return { y: nd([rows, width], gated) };
    };
    expectToMatch(actual, runOracle(given, oracle, upstream));
  });
});
