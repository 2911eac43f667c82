import { describeOnWebgpu } from '@mnemix/testkit';
import { closeBackend, openBackend } from '@mnemix/tensor';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { groupedLinear, groupedLinears, packedSequences } from '../../src/index.ts';
import {
  groupedLinearCases,
  groupedLinearInputs,
  groupedLinearOracle,
  splitColumns,
  splitLayers,
  type GroupedLinearCase,
} from '../grouped-linear-cases.ts';
import { expectToMatch, runOp, runOracle, toTensor, type Arrays, type Tensors } from '../op-cases.ts';
import { countStockPrograms } from './stock-programs.ts';

// A software adapter takes a while to compile a pipeline.
vi.setConfig({ testTimeout: 300_000 });

/** Groups of several tiles, forward and for the weights' gradient, with rows of none between. */
const long = (inputs: number, outputs: number): GroupedLinearCase => ({
  name: `groups of several tiles, ${inputs} to ${outputs}`,
  segments: [
    { row: 0, start: 200, length: 145 },
    { row: 0, start: 3, length: 129 },
    { row: 0, start: 140, length: 0 },
    { row: 0, start: 132, length: 1 },
  ],
  total: 350,
  inputs,
  outputs,
});
const cases = [...groupedLinearCases, long(8, 4), long(5, 8)];

const run = ({ total, segments }: GroupedLinearCase, inputs: Arrays, upstream: Arrays) => {
  const groups = packedSequences(1, total, segments);
  return runOp(inputs, (t) => ({ y: groupedLinear(t as never, { groups }) }), upstream);
};

describeOnWebgpu('groupedLinear', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

  it.each(cases)('matches the oracle for $name', async (shape) => {
    const { dy, ...all } = groupedLinearInputs(shape);
    for (const inputs of [all, { x: all.x, weight: all.weight }] as Arrays[]) {
      const actual = await run(shape, inputs, { y: dy });
      expectToMatch(actual, runOracle(inputs, groupedLinearOracle(shape), { y: dy }));
    }
  });

  // Columns in vectors, with one map's beginning inside of a tile; and not.
  it.each([
    [8, [8, 4, 72]],
    [5, [3, 4]],
    // More weights than a stage has buffers for, with narrow ones in the middle.
    [4, [8, 1, 4, 3, 4]],
    // More numbers of one map than a workgroup sums up at a time, in packs and not.
    [8, [4, 520]],
    [5, [3, 210]],
  ])('takes the columns of several maps of %i apart: %j', async (inner, widths) => {
    const shape = long(
      inner,
      widths.reduce((a, b) => a + b),
    );
    const { dy, ...inputs } = groupedLinearInputs(shape);
    const groups = packedSequences(1, shape.total, shape.segments);
    const upstream = splitColumns(dy, widths);
    const parts = (t: Tensors) =>
      groupedLinears(t['x']!, splitLayers(t as never, widths), { groups }).map(
        (y, i) => [`y${i}`, y] as const,
      );
    const actual = await runOp(inputs, (t) => Object.fromEntries(parts(t)), upstream);
    // The product of one map has the oracle's values.
    const whole = await run(shape, inputs, { y: dy });
    for (const [name, y] of Object.entries(splitColumns(whole.outputs['y']!, widths)))
      expect(actual.outputs[name], name).toBeCloseRms(y, 1e-6);
    for (const [name, slope] of Object.entries(whole.gradients))
      expect(actual.gradients[name], `gradient of ${name}`).toBeCloseRms(slope, 1e-6);
  });

  it('goes without stock kernels, and gives the same bits every time', async () => {
    const shape = long(12, 20);
    const { dy, bias: _, ...inputs } = groupedLinearInputs(shape);
    const first = await run(shape, inputs, { y: dy });
    expect(await run(shape, inputs, { y: dy })).toEqual(first);
    const given = { x: toTensor(inputs.x), weight: toTensor(inputs.weight) };
    const groups = packedSequences(1, shape.total, shape.segments);
    expect(countStockPrograms(() => groupedLinear(given, { groups }))).toBe(0);
    for (const tensor of Object.values(given)) tensor.dispose();
  });
});
