import { nd } from '@mnemix/testkit';
import { openBackend, tidy, zeros, type Tensor } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { mapsOfLists, columnsOp } from '../src/grouped-linear/list.ts';
import * as portable from '../src/grouped-linear/portable.ts';
import { named } from '../src/join-rows/parts.ts';
import { groupedLinear, groupedLinears, packedSequences, uniformSequences } from '../src/index.ts';
import {
  groupedLinearCases,
  groupedLinearInputs,
  groupedLinearOracle,
  splitColumns,
  splitLayers,
} from './grouped-linear-cases.ts';
import { expectToMatch, runOp, runOracle, toTensor, type Arrays, type Tensors } from './op-cases.ts';

describe.each(['cpu', 'wasm'] as const)('groupedLinear on %s', (backend) => {
  beforeAll(() => openBackend(backend));

  it.each(groupedLinearCases)('matches the oracle for $name', async (shape) => {
    const { dy, ...all } = groupedLinearInputs(shape);
    const groups = packedSequences(1, shape.total, shape.segments);
    for (const inputs of [all, { x: all.x, weight: all.weight }] as Arrays[]) {
      const actual = await runOp(inputs, (t) => ({ y: groupedLinear(t as never, { groups }) }), { y: dy });
      expectToMatch(actual, runOracle(inputs, groupedLinearOracle(shape), { y: dy }));
    }
  });

  it.each(groupedLinearCases)('its portable form matches the oracle for $name', (shape) => {
    const { dy, ...inputs } = groupedLinearInputs(shape);
    const expected = runOracle(inputs, groupedLinearOracle(shape), { y: dy });
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

  it.each([[[3, 4]], [[7]], [[1, 4, 2]]])('maps by several layers: outputs %j', async (widths) => {
    const shape = groupedLinearCases[1]!;
    const { dy, ...inputs } = groupedLinearInputs(shape);
    const groups = packedSequences(1, shape.total, shape.segments);
    const upstream = splitColumns(dy, widths);
    const oracle = (x: Arrays) => splitColumns(groupedLinearOracle(shape)(x).y, widths);
    const expected = runOracle(inputs, oracle, upstream);
    const layers = (t: Tensors) => splitLayers(t as never, widths);
    const numbered = (parts: readonly Tensor[]) =>
      Object.fromEntries(parts.map((part, i) => [`y${i}`, part]));
    expectToMatch(
      await runOp(inputs, (t) => numbered(groupedLinears(t['x']!, layers(t), { groups })), upstream),
      expected,
    );
    // What WebGPU has kernels for, with the weights joined ahead, and as they are.
    const op = (t: Tensors) => numbered(mapsOfLists(t['x']!, layers(t), groups));
    expectToMatch(await runOp(inputs, op, upstream), expected);
    const { starts, lengths, rowSequence } = groups;
    const listOp = ({ x, bias, ...t }: Tensors) => {
      const own = layers(t);
      const list = own[0]!.weights.flatMap((_, m) => own.map(({ weights }) => weights[m]!));
      const sequences = { starts, lengths, rowSequence };
      return columnsOp({ x: x!, weight: undefined, bias, ...sequences, ...named(list) }, { widths });
    };
    expectToMatch(await runOp(inputs, listOp, upstream), expected);
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
    const layers = [{ weights: [zeros([5, 4])] }];
    expect(() => groupedLinears(zeros([6, 4]), layers, { groups })).toThrow(
      /1 weights or biases for 2 groups/,
    );
  });
});
