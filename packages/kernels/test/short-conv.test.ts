import { nd, rows, type NdArray } from '@mnemix/testkit';
import { openBackend, zeros } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { batchSequences, shortConv, uniformSequences } from '../src/index.ts';
import { expectToMatch, runOp, runOracle, toTensor, type Arrays } from './op-cases.ts';
import { shortConvCases, shortConvInputs, shortConvOracle } from './short-conv-cases.ts';

describe.each(['cpu', 'wasm'] as const)('shortConv on %s', (backend) => {
  beforeAll(() => openBackend(backend));

  describe.each(shortConvCases)('for $name', (shape) => {
    const run = (inputs: Arrays, activation: 'silu' | 'none', upstream: Arrays) => {
      const sequences = batchSequences(shape.batch, shape.tokens, shape.segments);
      return runOp(inputs, (t) => shortConv(t as never, { sequences, activation }), upstream);
    };

    it('matches the oracle with bias and state', async () => {
      const { dy, dState, ...inputs } = shortConvInputs(shape);
      for (const activation of ['silu', 'none'] as const) {
        const actual = await run(inputs, activation, { y: dy, state: dState });
        expectToMatch(
          actual,
          runOracle(inputs, shortConvOracle(shape, activation), { y: dy, state: dState }),
        );
      }
    });

    it('matches the oracle without', async () => {
      const { x, weight, dy } = shortConvInputs(shape);
      const actual = await run({ x, weight }, 'silu', { y: dy });
      expectToMatch(actual, runOracle({ x, weight }, shortConvOracle(shape, 'silu'), { y: dy }));
    });
  });

  it('a sequence split in two, with the state carried, gives the same as the whole', async () => {
    const { x, weight } = shortConvInputs({ name: '', batch: 1, tokens: 11, channels: 6, width: 4 });
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
    const { weight, initialState } = shortConvInputs({
      name: '',
      batch: 2,
      tokens: 1,
      channels: 3,
      width: 4,
    });
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
