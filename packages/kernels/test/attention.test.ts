import { openBackend, tidy, zeros } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { attention, uniformSequences } from '../src/index.ts';
import { attentionCases, attentionOracle, inputsOf, runAttention } from './attention-cases.ts';
import { expectToMatch, runOp, runOracle } from './op-cases.ts';

it("the oracle's gradients are the slopes of its outputs", () => {
  const shape = { ...attentionCases.find(({ name }) => name.startsWith('everything'))!, headWidth: 2 };
  const inputs = inputsOf(shape);
  const slopes = runOracle(inputs.arrays, (arrays) => attentionOracle(shape, { ...inputs, arrays }).outputs, {
    o: inputs.dO,
  }).gradients;
  for (const [name, gradient] of Object.entries(attentionOracle(shape, inputs).gradients)) {
    expect(gradient, name).toBeCloseRms(slopes[name]!, 1e-6);
  }
});

describe.each(['cpu', 'wasm'] as const)('attention on %s', (backend) => {
  beforeAll(() => openBackend(backend));

  it.each(attentionCases)('matches the oracle: $name', async (shape) => {
    const inputs = inputsOf(shape);
    const actual = await runOp(inputs.arrays, (t) => ({ o: runAttention(shape, inputs, t) }), {
      o: inputs.dO,
    });
    expectToMatch(actual, attentionOracle(shape, inputs));
  });

  it('reads exactly 0 where a query sees nobody', async () => {
    const shape = { ...attentionCases[1]!, groups: [{ nearest: 4 }] };
    const inputs = inputsOf(shape);
    const { outputs, gradients } = await runOp(
      inputs.arrays,
      (t) => ({ o: runAttention(shape, inputs, t) }),
      { o: inputs.dO },
    );
    const width = shape.heads * shape.headWidth;
    for (const x of [outputs['o']!, gradients['a']!]) {
      const ofFirst = (sequence: number) => {
        const from = sequence * shape.tokens * width;
        return Array.from(x.data.slice(from, from + 4 * width));
      };
      for (const sequence of [0, 1]) expect(ofFirst(sequence).every((value) => value === 0)).toBe(true);
    }
  });

  it('takes no tokens', () => {
    tidy(() => {
      const x = zeros([0, 6]);
      const groups = [{ queries: x, keys: x, values: x }];
      expect(attention({ groups }, { sequences: uniformSequences(2, 0), heads: 2 }).shape).toEqual([0, 6]);
    });
  });

  it('says what is wrong with its arguments', () => {
    tidy(() => {
      const x = zeros([6, 8]);
      const group = { queries: x, keys: x, values: x };
      const options = { sequences: uniformSequences(2, 3), heads: 2 };
      expect(() => attention({ groups: [] }, options)).toThrow(/attention\(groups\): there is none/);
      expect(() => attention({ groups: [group] }, { ...options, heads: 3 })).toThrow(
        /attention\(heads\): 8 columns cannot be shared by 3 heads/,
      );
      expect(() => attention({ groups: [group] }, { ...options, heads: 4, kvHeads: 3 })).toThrow(
        /attention\(kvHeads\): 3 heads of keys cannot serve 4/,
      );
      expect(() => attention({ groups: [{ ...group, keys: zeros([6, 4]) }] }, options)).toThrow(
        /attention\(groups\[0\]\)\(keys\): expected shape \[6, 8\]/,
      );
      const before = { keys: zeros([2, 3, 8]), values: zeros([2, 3, 8]) };
      expect(() => attention({ groups: [{ ...group, before }] }, options)).toThrow(
        /groups\[0\]\)\.before: it is given, but not how many/,
      );
      const slots = {
        queries: x,
        keys: zeros([2, 2, 1, 8]),
        values: zeros([2, 2, 1, 8]),
        positions: zeros([2, 2, 1]),
      };
      expect(() => attention({ groups: [slots] }, options)).toThrow(/attention\(block\): it is undefined/);
      expect(() => attention({ groups: [slots] }, { ...options, block: 1 })).toThrow(
        /there are 2 blocks, but the queries lie in 3/,
      );
    });
  });
});
