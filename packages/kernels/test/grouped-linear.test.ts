import { nd } from '@mnemix/testkit';
import { openBackend, tidy, zeros } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import * as portable from '../src/grouped-linear/portable.ts';
import { groupedLinear, packedSequences, uniformSequences } from '../src/index.ts';
import { groupedLinearCases, groupedLinearInputs, groupedLinearOracle } from './grouped-linear-cases.ts';
import { expectToMatch, runOp, runOracle, toTensor, type Arrays } from './op-cases.ts';

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
