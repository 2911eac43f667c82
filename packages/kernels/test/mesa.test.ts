import { map, nd, rows, type NdArray } from '@mnemix/testkit';
import { MnemixError, openBackend, zeros } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { mesa, uniformSequences } from '../src/index.ts';
import { draw, outputsOf, run, withOracle, type CaseOptions, type Solver } from './mesa-cases.ts';
import { expectToMatch, type Arrays, type OpResult } from './op-cases.ts';

const small = { batch: 2, tokens: 37, heads: 2, keyWidth: 6, valueWidth: 5 };

/** Documents with a gap, an empty one, one of a single token, and one that ends with its row. */
const documents = [
  { row: 0, start: 0, length: 21 },
  { row: 0, start: 25, length: 1 },
  { row: 1, start: 3, length: 0 },
  { row: 1, start: 4, length: 33 },
];

describe.each([
  { backend: 'cpu', form: undefined },
  { backend: 'cpu', form: 'recurrent' },
  { backend: 'wasm', form: 'chunk' },
  { backend: 'wasm', form: 'recurrent' },
  { backend: 'wasm', form: undefined },
] as const)('mesa, $backend, form $form', ({ backend, form }) => {
  beforeAll(() => openBackend(backend));
  const check = async (options: CaseOptions, solver: Solver = {}) => {
    const { scan, wanted } = withOracle(options);
    const result = await run(scan, { form, ...solver });
    expectToMatch(result, wanted);
    return result;
  };

  it.each([
    { batch: 2, tokens: 1, heads: 3, keyWidth: 5, valueWidth: 7 },
    { batch: 3, tokens: 2, heads: 1, keyWidth: 1, valueWidth: 3 },
    { batch: 2, tokens: 15, heads: 2, keyWidth: 7, valueWidth: 5 },
    { batch: 1, tokens: 16, heads: 2, keyWidth: 8, valueWidth: 4 },
    { batch: 2, tokens: 17, heads: 1, keyWidth: 6, valueWidth: 13 },
    { batch: 1, tokens: 64, heads: 1, keyWidth: 11, valueWidth: 9 },
    { batch: 1, tokens: 75, heads: 2, keyWidth: 5, valueWidth: 6 },
  ])('matches the oracle for B$batch T$tokens H$heads dk$keyWidth dv$valueWidth', async (shape) => {
    await check(shape);
    await check({ ...shape, carried: true });
  });

  it('keeps packed documents apart, and writes 0 to the rows between them', async () => {
    await check({ ...small, segments: documents });
    await check({ ...small, segments: documents, carried: true });
  });

  it('takes single tokens among empty sequences', async () => {
    const segments = [0, 1, 0, 1, 1].map((length, row) => ({ row, start: 0, length }));
    await check({ ...small, batch: 5, tokens: 2, segments, carried: true });
  });

  it('takes gates that are closed, fully open, or both side by side', async () => {
    const mixed = (drawn: number, index: number) => (index % 5 === 1 ? -1e4 : index % 7 === 3 ? 0 : drawn);
    await check({ ...small, carried: true, gateOf: mixed });
    await check({ ...small, carried: true, gateOf: () => 0 });
    const { gradients } = await check({ ...small, carried: true, gateOf: () => -1e4 });
    expect(gradients['logDecay']!.data.every((value) => value === 0)).toBe(true);
  });

  it('keeps its digits where keys are nearly parallel and β is about 1', async () => {
    const parallel = { keyCorrelation: 0.99, betas: [0.9, 1] as const };
    await check({ ...small, tokens: 64, batch: 1, ...parallel });
    await check({ ...small, tokens: 64, batch: 1, ...parallel, gateOf: () => 0 });
  });

  it('answers nothing where nothing was written or asked, and still has gradients', async () => {
    await check({ ...small, betas: [0, 0] });
    await check({ ...small, queryScale: 0 });
  });

  it.each([1, 2, 5, 16, 32])('gives the same in chunks of %s tokens', async (chunkSize) => {
    await check({ ...small, batch: 1, carried: true }, { chunkSize });
  });

  it('continues from a carried state as if it had not been interrupted', async () => {
    const { scan, wanted } = withOracle({ ...small, batch: 1 });
    for (const cuts of [[1], [16], [20], [5, 6, 22], Array.from({ length: 36 }, (_, t) => t + 1)]) {
      const o: number[] = [];
      let state: Arrays = {};
      for (const [i, from] of [0, ...cuts].entries()) {
        const to = cuts[i] ?? small.tokens;
        const cut = (arrays: Arrays): Arrays => {
          const part = (x: NdArray) => (x.shape[0] === small.tokens ? rows(x, from, to) : x);
          return Object.fromEntries(Object.entries(arrays).map(([name, x]) => [name, part(x)]));
        };
        const inputs = { ...cut(scan.inputs), ...state };
        const options = { ...scan.options, tokens: to - from };
        const { outputs } = await run({ ...scan, options, inputs, upstream: cut(scan.upstream) }, { form });
        o.push(...outputs['o']!.data);
        state = { keys: outputs['keys']!, values: outputs['values']! };
      }
      expect(o).toBeCloseRms([...wanted.outputs['o']!.data], 1e-5);
      for (const name of ['keys', 'values'])
        expect(state[name], name).toBeCloseRms(wanted.outputs[name]!, 1e-5);
    }
  });

  it('leaves outputs before a changed token bit-identical', async () => {
    const { scan } = withOracle({ ...small, batch: 1 });
    const changedAt = 21;
    const change = (x: NdArray) =>
      x.shape[0] === small.tokens
        ? map(x, (value, i) => (i * small.tokens >= changedAt * x.data.length ? value / 2 : value))
        : x;
    const inputs = Object.fromEntries(Object.entries(scan.inputs).map(([name, x]) => [name, change(x)]));
    const before = (result: OpResult) => [...rows(result.outputs['o']!, 0, changedAt).data];
    const changed = await run({ ...scan, inputs }, { form });
    expect(before(changed)).toEqual(before(await run(scan, { form })));
  });

  it('passes states through where there is no token at all', async () => {
    const segments = [{ row: 0, start: 0, length: 0 }];
    const { scan } = withOracle({ ...small, batch: 1, tokens: 2, segments, carried: true });
    const { factor: _, ...inputs } = { ...scan.inputs, keys: scan.upstream['keys']! } as Record<
      string,
      NdArray
    >;
    const { outputs, gradients } = await run({ ...scan, inputs }, { form });
    expect(outputs['o']!.data.every((value) => value === 0)).toBe(true);
    for (const name of ['keys', 'values']) {
      expect(outputs[name]).toEqual(inputs[name]);
      expect(gradients[name]).toEqual(scan.upstream[name]);
    }
  });

  it('takes more steps than there are digits, without a limit to the residual', async () => {
    await check({ ...small, carried: true }, { steps: 60, tolerance: 0 });
    await check({ ...small, betas: [0, 0] }, { steps: 5, tolerance: 0 });
  });

  it('is linear in the query, however small or large', async () => {
    const { scan, wanted } = withOracle({ ...small, carried: true });
    for (const scale of [2 ** -80, 2 ** 50]) {
      const q = map(scan.inputs['q']!, (x) => x * scale);
      const { outputs } = await run({ ...scan, inputs: { ...scan.inputs, q } }, { form });
      expect(map(outputs['o']!, (x) => x / scale)).toBeCloseRms(wanted.outputs['o']!, 1e-5);
    }
  });

  it('leaves less of an error with every step, and with the default little but rounding', async () => {
    const wide = { batch: 1, tokens: 128, heads: 1, keyWidth: 64, valueWidth: 4, gateOf: () => 0 };
    for (const keyCorrelation of [0, 0.99]) {
      const scan = draw({ ...wide, keyCorrelation });
      const exact = outputsOf(scan)['o']!;
      const answer = async (solver: Solver) => (await run(scan, { form, ...solver })).outputs['o']!;
      expect(await answer({ steps: 2 })).not.toBeCloseRms(exact, 1e-3);
      expect(await answer({ steps: 12 })).toBeCloseRms(exact, 1e-3);
      expect(await answer({})).toBeCloseRms(exact, 1e-5);
    }
  });

  it('hands NaN of a query on, to its own token alone', async () => {
    const { scan } = withOracle({ ...small, batch: 1 });
    const at = 20 * small.heads * small.keyWidth;
    const q = map(scan.inputs['q']!, (x, i) => (i === at ? NaN : x));
    const { outputs } = await run({ ...scan, inputs: { ...scan.inputs, q } }, { form });
    const bad = [...outputs['o']!.data].flatMap((x, i) => (Number.isNaN(x) ? [i] : []));
    const first = 20 * small.heads * small.valueWidth;
    expect(bad).toEqual(Array.from({ length: small.valueWidth }, (_, c) => first + c));
  });
});

describe('mesa', () => {
  beforeAll(() => openBackend('cpu'));

  it('answers β / (β + λ) of a query where the keys are the axes and the values the keys', async () => {
    const axes = nd([3, 1, 3], [1, 0, 0, 0, 1, 0, 0, 0, 1]);
    const inputs = {
      q: nd([3, 1, 3], [0, 0, 0, 0, 0, 0, 1, 2, 4]),
      k: axes,
      v: axes,
      beta: nd([3, 1], [0.5, 1, 2]),
      logDecay: nd([3, 1]),
      ridge: nd([1, 3], [0.5, 1, 6]),
    };
    const shape = { batch: 1, tokens: 3, heads: 1, keyWidth: 3, valueWidth: 3 };
    const upstream = { o: nd([3, 1, 3]), keys: nd([1, 1, 3, 3]), values: nd([1, 1, 3, 3]) };
    const scan = { options: shape, ranges: [{ start: 0, length: 3 }], inputs, upstream };
    const last = nd([1, 1, 3], [0.5, 1, 1]);
    expect(rows(outputsOf(scan)['o']!, 2, 3)).toBeCloseRms(last, 1e-12);
    expect(rows((await run(scan, {})).outputs['o']!, 2, 3)).toBeCloseRms(last, 1e-6);
  });

  it('names the argument that is wrong', () => {
    const given = { q: [8, 2, 4], k: [8, 2, 4], v: [8, 2, 3], beta: [8, 2], logDecay: [8, 2], ridge: [2, 4] };
    const call = (
      shapes: Record<string, number[]>,
      options: object = {},
      state?: Record<string, number[]>,
    ) => {
      const make = (all: Record<string, number[]>) =>
        Object.fromEntries(Object.entries(all).map(([name, shape]) => [name, zeros(shape)]));
      const tensors = { ...make({ ...given, ...shapes }), initialState: state && make(state) };
      return () => mesa(tensors as never, { sequences: uniformSequences(2, 4), ...options });
    };
    expect(call({ k: [8, 2, 5] })).toThrow('mesa(k)');
    expect(call({ v: [7, 2, 3] })).toThrow('mesa(v)');
    expect(call({ beta: [8, 3] })).toThrow('mesa(beta)');
    expect(call({ logDecay: [8, 2, 4] })).toThrow('mesa(logDecay)');
    expect(call({ ridge: [4] })).toThrow('mesa(ridge)');
    const state = { keys: [2, 2, 4, 4], values: [2, 2, 4, 3] };
    expect(call({}, {}, { ...state, keys: [2, 2, 4, 3] })).toThrow('mesa(initialState.keys)');
    expect(call({}, {}, { ...state, values: [1, 2, 4, 3] })).toThrow('mesa(initialState.values)');
    for (const steps of [0, -1, 2.5]) {
      expect(call({}, { steps })).toThrow(MnemixError);
      expect(call({}, { steps })).toThrow('mesa(steps)');
    }
    for (const tolerance of [-1, 1, NaN]) expect(call({}, { tolerance })).toThrow('mesa(tolerance)');
    expect(call({}, { chunkSize: 24 })).toThrow('mesa(chunkSize)');
  });
});
