import { MnemixError, openBackend, tensor, tidy } from '@mnemix/tensor';
import { nd, rows, type NdArray } from '@mnemix/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { logLinearDecay, uniformSequences } from '../src/index.ts';
import { drawCase, knownCase, runCase, type CaseOptions, type LogLinearCase } from './log-linear-cases.ts';
import { expectToMatch, type Arrays } from './op-cases.ts';

const variants = [
  { backend: 'cpu', form: 'chunk' },
  { backend: 'cpu', form: 'recurrent' },
  { backend: 'wasm', form: 'chunk' },
  { backend: 'wasm', form: 'recurrent' },
] as const;

/** As many as are needed for T tokens, and the next one. */
const levelsFor = (tokens: number): number => Math.floor(Math.log2(tokens)) + 2;

/** Documents with a gap, an empty one, one of a single token, and one that ends with its row. */
const documents = [
  { row: 0, start: 0, length: 21 },
  { row: 0, start: 25, length: 1 },
  { row: 1, start: 3, length: 0 },
  { row: 1, start: 4, length: 33 },
];
const packed = { tokens: 37, batch: 2, heads: 2, levels: 7, segments: documents };

/** Closed, fully open and ordinary gates side by side. */
const mixedGates = (drawn: number, index: number): number =>
  index % 5 === 1 ? -1e4 : index % 7 === 3 ? 0 : drawn;

describe.each(variants)('log-linear attention, $backend, form $form', ({ backend, form }) => {
  beforeAll(() => openBackend(backend));
  const chunkSizes = form === 'chunk' ? [1, 16, 32, 64] : [1];
  const check = async (options: CaseOptions, sizes = chunkSizes) => {
    const { problem, wanted } = knownCase(options);
    for (const chunkSize of sizes) expectToMatch(await runCase(problem, { form, chunkSize }), wanted);
  };

  describe.each([{ delta: false }, { delta: true }])('with the delta rule: $delta', ({ delta }) => {
    it.each([1, 2, 3, 15, 16, 17, 33, 64, 75, 131])('matches the oracle for %s tokens', async (tokens) => {
      await check({ delta, tokens, levels: levelsFor(tokens) });
    });

    it.each([1, 2, 3, 6])('puts all that %s levels have no room for into the top one', async (levels) => {
      await check({ delta, tokens: 37, batch: 2, levels });
      await check({ delta, tokens: 37, levels, positions: [27] });
    });

    it('needs not fill all levels that there are', async () => {
      await check({ delta, tokens: 5, heads: 2, levels: 12 });
      await check({ delta, tokens: 5, levels: 12, positions: [130] });
    });

    it.each([1, 2, 9, 33])('goes on from any position for %s tokens', async (tokens) => {
      const positions = [0, 1, 2, 13, 16, 31, 64, 95];
      await check({ delta, tokens, batch: positions.length, levels: 8, positions });
    });

    it('keeps packed documents apart, and writes 0 to the rows between them', async () => {
      await check({ delta, ...packed });
      await check({ delta, ...packed, positions: [3, 40, 12, 64] });
    });

    it('matches the oracle where closed gates stand next to open ones', async () => {
      await check({ delta, tokens: 37, batch: 2, levels: 7, gateOf: mixedGates });
      await check({ delta, tokens: 37, levels: 7, positions: [11], gateOf: mixedGates });
    });

    it('forgets everything where all gates are closed, and gives them no gradient', async () => {
      const options = { delta, tokens: 37, levels: 7, positions: [11], gateOf: () => -1e4 };
      await check(options);
      const { gradients } = await runCase(knownCase(options).problem, { form });
      expect(gradients['logDecay']!.data.every((value) => value === 0)).toBe(true);
    });

    it('continues from a carried state as if it had not been interrupted, wherever that is', async () => {
      const problem = drawCase({ delta, tokens: 19, levels: 5 });
      const whole = await runCase(problem, { form, chunkSize: 4 });
      for (let cut = 1; cut < 19; cut++) {
        const first = await runCase(piece(problem, 0, cut), { form, chunkSize: 4 });
        expect([...first.outputs['position']!.data]).toEqual([cut]);
        const carried = { memory: first.outputs['memory']!, position: cut };
        const second = await runCase(piece(problem, cut, 19, carried), { form, chunkSize: 4 });
        const o = [first, second].flatMap(({ outputs }) => [...outputs['o']!.data]);
        expect(o).toBeCloseRms([...whole.outputs['o']!.data], 1e-5);
        expect(second.outputs['memory']).toBeCloseRms(whole.outputs['memory']!, 1e-5);
        expect([...second.outputs['position']!.data]).toEqual([19]);
      }
    });

    it('leaves outputs before a changed token bit-identical', async () => {
      const problem = drawCase({ delta, tokens: 37, heads: 2, levels: 7 });
      const end = 21 * 2 * 2;
      const change = (x: NdArray) =>
        nd(
          x.shape,
          x.data.map((value, i) => (i * 37 >= 21 * x.data.length ? value * 0.5 : value)),
        );
      const inputs = Object.fromEntries(Object.entries(problem.inputs).map(([name, x]) => [name, change(x)]));
      const before = async (given: LogLinearCase) =>
        [...(await runCase(given, { form })).outputs['o']!.data].slice(0, end);
      expect(await before({ ...problem, inputs })).toEqual(await before(problem));
    });

    it('passes memory and position through where there is no token at all', async () => {
      const segments = [{ row: 0, start: 0, length: 0 }];
      const problem = drawCase({ delta, tokens: 2, levels: 3, segments, positions: [5] });
      const { outputs, gradients } = await runCase(problem, { form });
      expect(outputs['o']!.data.every((value) => value === 0)).toBe(true);
      expect(outputs['memory']).toEqual(problem.inputs['memory']);
      expect(gradients['memory']).toEqual(problem.upstream['memory']);
      expect([...outputs['position']!.data]).toEqual([5]);
    });
  });

  it('keeps its digits where keys are nearly parallel and β approaches 2', async () => {
    const strong = { delta: true, keyCorrelation: 0.99, betaScale: 1.99 };
    await check({ ...strong, tokens: 67, keyWidth: 5, levels: 8 });
    await check({ ...strong, tokens: 33, keyWidth: 5, levels: 8, positions: [21] });
  });

  it('goes on counting from 0 behind position 2^23', async () => {
    const problem = drawCase({ delta: true, tokens: 9, levels: 6, positions: [28] });
    const from = async (position: number) =>
      (await runCase({ ...problem, positions: [position] }, { form })).outputs;
    const { o, memory } = await from(28);
    expect(await from(2 ** 23 - 4)).toEqual({ o, memory, position: nd([1], [5]) });
  });
});

/** Tokens from … to−1 of a single sequence. */
function piece(
  problem: LogLinearCase,
  from: number,
  to: number,
  carried?: { memory: NdArray; position: number },
): LogLinearCase {
  const cut = (arrays: Arrays) =>
    Object.fromEntries(
      Object.entries(arrays).map(([name, x]) => [name, name === 'memory' ? x : rows(x, from, to)]),
    );
  return {
    ...problem,
    sequences: uniformSequences(1, to - from),
    positions: carried && [carried.position],
    inputs: { ...cut(problem.inputs), ...(carried && { memory: carried.memory }) },
    upstream: cut(problem.upstream),
  };
}

describe('log-linear attention', () => {
  beforeAll(() => openBackend('cpu'));

  it('names the argument whose shape is wrong', () => {
    const call = (shapes: Record<string, number[]>, options: object = {}) =>
      tidy(() => {
        const given = { q: [8, 2, 4], k: [8, 2, 4], v: [8, 2, 3], logDecay: [8, 2], levelScales: [8, 2, 5] };
        const inputs = Object.fromEntries(
          Object.entries({ ...given, ...shapes }).map(([name, shape]) => [
            name,
            tensor(new Float32Array(shape.reduce((a, b) => a * b)), shape),
          ]),
        );
        const { memory, position, ...tensors } = inputs;
        const initialState = memory && { memory, position };
        logLinearDecay({ ...tensors, initialState } as never, {
          sequences: uniformSequences(2, 4),
          ...options,
        });
      });
    expect(() => call({ k: [8, 2, 5] })).toThrow('logLinearDecay(k)');
    expect(() => call({ levelScales: [8, 3, 5] })).toThrow('logLinearDecay(levelScales)');
    expect(() => call({ levelScales: [8, 2, 25] })).toThrow('logLinearDecay(levelScales)');
    expect(() => call({ memory: [2, 2, 4, 4, 3], position: [2] })).toThrow(
      'logLinearDecay(initialState.memory)',
    );
    expect(() => call({ memory: [2, 2, 5, 4, 3], position: [1] })).toThrow(
      'logLinearDecay(initialState.position)',
    );
    expect(() => call({}, { chunkSize: 48 })).toThrow(MnemixError);
  });
});
