import { describeOnWebgpu, rows } from '@mnemix/testkit';
import { closeBackend, openBackend } from '@mnemix/tensor';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { batchSequences, shortConv, shortConvs } from '../../src/index.ts';
import { expectToMatch, runOp, runOracle, toTensor, type Arrays } from '../op-cases.ts';
import { shortConvCases, shortConvInputs, shortConvOracle, type ShortConvCase } from '../short-conv-cases.ts';
import { countStockPrograms } from './stock-programs.ts';

// A software adapter takes a while to compile a pipeline.
vi.setConfig({ testTimeout: 300_000 });

/** Windows of more than one group of taps, rows of more than one item, channels of more than one workgroup. */
const cases: readonly ShortConvCase[] = [
  ...shortConvCases,
  { name: 'a window of 5', batch: 1, tokens: 12, channels: 4, width: 5 },
  {
    name: 'a window of 9 on ragged documents',
    batch: 1,
    tokens: 25,
    channels: 3,
    width: 9,
    segments: [
      { row: 0, start: 4, length: 17 },
      { row: 0, start: 0, length: 3 },
    ],
  },
  { name: 'many rows', batch: 2, tokens: 45, channels: 2, width: 4 },
  { name: 'many channels', batch: 1, tokens: 2, channels: 264, width: 2 },
  { name: 'many channels, no multiple of 4', batch: 1, tokens: 2, channels: 262, width: 2 },
];

const run = ({ batch, tokens, segments }: ShortConvCase, inputs: Arrays, upstream: Arrays, isSilu = true) => {
  const sequences = batchSequences(batch, tokens, segments);
  const activation = isSilu ? 'silu' : 'none';
  return runOp(inputs, (t) => shortConv(t as never, { sequences, activation }), upstream);
};

describeOnWebgpu('shortConv', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

  describe.each(cases)('for $name', (shape) => {
    it('matches the oracle with bias and state', async () => {
      const { dy, dState, ...inputs } = shortConvInputs(shape);
      const upstream = { y: dy, state: dState };
      expectToMatch(
        await run(shape, inputs, upstream),
        runOracle(inputs, shortConvOracle(shape, 'silu'), upstream),
      );
    });

    it('matches the oracle without, and without an activation', async () => {
      const { x, weight, dy } = shortConvInputs(shape);
      const inputs = { x, weight };
      expectToMatch(
        await run(shape, inputs, { y: dy }, false),
        runOracle(inputs, shortConvOracle(shape, 'none'), { y: dy }),
      );
    });
  });

  it('a sequence split in two, with the state carried, gives the same as the whole', async () => {
    const whole: ShortConvCase = { name: '', batch: 1, tokens: 11, channels: 6, width: 4 };
    const { x, weight, dy } = shortConvInputs(whole);
    const { outputs } = await run(whole, { x, weight }, { y: dy });
    for (const at of [1, 5, 10]) {
      const parts = [rows(x, 0, at), rows(x, at, 11)] as const;
      const first = await run({ ...whole, tokens: at }, { x: parts[0], weight }, { y: parts[0] });
      const initialState = first.outputs['state']!;
      const second = await run(
        { ...whole, tokens: 11 - at },
        { x: parts[1], weight, initialState },
        { y: parts[1] },
      );
      expect([...first.outputs['y']!.data, ...second.outputs['y']!.data]).toEqual([...outputs['y']!.data]);
      expect(second.outputs['state']).toEqual(outputs['state']);
    }
  });

  /** Of other widths, the second without an activation. */
  const several = ({ channels, ...shape }: ShortConvCase): ShortConvCase[] =>
    [channels, 2 * channels, channels].map((own) => ({ ...shape, channels: own }));

  it.each([
    { of: 'with biases and states', shape: cases[5] as ShortConvCase, isBare: false },
    { of: 'bare', shape: { ...(cases[5] as ShortConvCase), channels: 4 }, isBare: true },
    { of: 'of more channels than a workgroup has', shape: cases.at(-1) as ShortConvCase, isBare: true },
  ])('does several at once, $of', async ({ shape, isBare }) => {
    const parts = several(shape).map((part, i) => {
      const { dy, dState, x, weight, bias, initialState } = shortConvInputs(part);
      const inputs: Arrays = isBare ? { x, weight } : { x, weight, bias, initialState };
      const activation = i === 1 ? ('none' as const) : ('silu' as const);
      const upstream: Arrays = { y: dy, state: dState };
      return {
        inputs,
        activation,
        upstream,
        wanted: runOracle(inputs, shortConvOracle(part, activation), upstream),
      };
    });
    const numbered = (all: readonly Arrays[]): Arrays =>
      Object.fromEntries(
        all.flatMap((own, i) => Object.entries(own).map(([name, x]) => [`${i} ${name}`, x])),
      );
    const sequences = batchSequences(shape.batch, shape.tokens, shape.segments);
    const actual = await runOp(
      numbered(parts.map(({ inputs }) => inputs)),
      (given) => {
        const made = shortConvs(
          parts.map(({ inputs, activation }, i) => ({
            ...Object.fromEntries(Object.keys(inputs).map((name) => [name, given[`${i} ${name}`]])),
            activation,
          })) as never,
          { sequences },
        );
        return Object.fromEntries(
          made.flatMap((own, i) => Object.entries(own).map(([name, x]) => [`${i} ${name}`, x])),
        );
      },
      numbered(parts.map(({ upstream }) => upstream)),
    );
    expectToMatch(actual, {
      outputs: numbered(parts.map(({ wanted }) => wanted.outputs)),
      gradients: numbered(parts.map(({ wanted }) => wanted.gradients)),
    });
  });

  it('goes without stock kernels, and gives the same bits every time', async () => {
    const shape: ShortConvCase = { name: '', batch: 2, tokens: 40, channels: 12, width: 4 };
    const { dy, dState, ...inputs } = shortConvInputs(shape);
    const first = await run(shape, inputs, { y: dy, state: dState });
    expect(await run(shape, inputs, { y: dy, state: dState })).toEqual(first);
    const sequences = batchSequences(shape.batch, shape.tokens);
    const { x, weight } = inputs;
    const given = { x: toTensor(x), weight: toTensor(weight) };
    expect(countStockPrograms(() => shortConv(given, { sequences }))).toBe(0);
    for (const tensor of Object.values(given)) tensor.dispose();
  });
});
