// What holds for every scan, in every form, on every backend.
import { MnemixError, openBackend, tensor, tidy, type Tensor } from '@mnemix/tensor';
import { nd, oddShapes, readEngineFixture, type NdArray } from '@mnemix/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import type { ScanOptions } from '../src/index.ts';
import { packedSequences, uniformSequences } from '../src/sequences.ts';
import type { Arrays } from './op-cases.ts';
import {
  askOracle,
  runScan,
  scanCase,
  type CaseOptions,
  type OneHead,
  type OneHeadResult,
  type ScanCase,
  type ScanResult,
} from './scan-cases.ts';

export interface ScanEngine {
  readonly name: string;
  readonly op: (
    inputs: never,
    options: ScanOptions & { eraseBeforeDecay?: boolean },
  ) => { o: Tensor; state: Tensor };
  readonly oracle: (head: OneHead, eraseBeforeDecay: boolean) => OneHeadResult;
  /** What a case of this engine draws besides q, k, v and the gates. */
  readonly draws: Partial<CaseOptions>;
  /** The kinds of gate that it has; all of `gates` if left out. */
  readonly gates?: readonly NonNullable<CaseOptions['gate']>[];
  /** Entries of the golden data, with the kinds of gate that they can be expressed in. */
  readonly golden: readonly {
    entry: Parameters<typeof readEngineFixture>[0];
    gate: 'none' | 'scalar' | 'vector';
  }[];
  /** The ops' names for the golden data's. */
  readonly goldenNames: Readonly<Record<string, string>>;
}

export const gates = ['none', 'scalar', 'vector'] as const;

/** Every form and backend; on the CPU backend the form that runs by default is one of the two. */
export const variants = [
  { backend: 'cpu', form: 'chunk' },
  { backend: 'cpu', form: 'recurrent' },
  { backend: 'wasm', form: 'chunk' },
  { backend: 'wasm', form: 'recurrent' },
  { backend: 'wasm', form: undefined },
] as const;

export function expectToMatch(actual: ScanResult, wanted: ScanResult): void {
  expect(actual.o, 'o').toBeCloseRms(wanted.o, 1e-5);
  expect(actual.state, 'state').toBeCloseRms(wanted.state, 1e-5);
  for (const [name, gradient] of Object.entries(wanted.gradients)) {
    expect(actual.gradients[name], `gradient of ${name}`).toBeCloseRms(gradient, 1e-4);
  }
}

/** A case and what the oracle says of it, computed once for all variants. */
export function withOracle(engine: ScanEngine) {
  const known = new Map<string, { scan: ScanCase; wanted: ScanResult }>();
  return (options: CaseOptions, eraseBeforeDecay = false) => {
    const key = JSON.stringify([options, eraseBeforeDecay, String(options.gateOf)]);
    if (!known.has(key)) {
      const scan = scanCase({ ...engine.draws, ...options });
      known.set(key, { scan, wanted: askOracle(scan, (head) => engine.oracle(head, eraseBeforeDecay)) });
    }
    return known.get(key)!;
  };
}

const small = { batch: 2, tokens: 37, heads: 2, keyWidth: 6, valueWidth: 5 };

/** Documents with a gap, an empty one, one of a single token, and one that ends with its row. */
const documents = [
  { row: 0, start: 0, length: 21 },
  { row: 0, start: 25, length: 1 },
  { row: 1, start: 3, length: 0 },
  { row: 1, start: 4, length: 33 },
];

/** Closed, fully open and ordinary gates side by side. */
const mixedGates = (drawn: number, index: number): number =>
  index % 5 === 1 ? -1e4 : index % 7 === 3 ? 0 : drawn;

export function describeScan(engine: ScanEngine): void {
  const known = withOracle(engine);
  const kinds = engine.gates ?? gates;
  const decays = kinds.filter((gate) => gate !== 'none');

  describe.each(variants)(`${engine.name}, $backend, form $form`, ({ backend, form }) => {
    beforeAll(() => openBackend(backend));
    const run = (
      scan: ScanCase,
      options: Partial<ScanOptions> & { eraseBeforeDecay?: boolean } = {},
    ): Promise<ScanResult> =>
      runScan(scan, (inputs) => engine.op(inputs, { sequences: scan.sequences, form, ...options }));

    it.each(oddShapes)('matches the oracle for $name', async (shape) => {
      for (const gate of kinds) {
        const { scan, wanted } = known({ ...shape, gate });
        expectToMatch(await run(scan), wanted);
      }
    });

    it('keeps packed documents apart, and writes 0 to the rows between them', async () => {
      for (const gate of kinds) {
        const { scan, wanted } = known({ ...small, gate, segments: documents });
        expectToMatch(await run(scan), wanted);
      }
    });

    it('needs no gradient of the last states where nothing depends on them', async () => {
      for (const initial of [false, true]) {
        for (const gate of kinds) {
          const { scan, wanted } = known({ ...small, gate, initial, usesState: false });
          expectToMatch(await run(scan), wanted);
        }
      }
    });

    it('matches the oracle where closed gates stand next to open ones', async () => {
      for (const gate of decays) {
        const { scan, wanted } = known({ ...small, gate, gateOf: mixedGates });
        expectToMatch(await run(scan), wanted);
      }
    });

    it('forgets everything where all gates are closed, and gives them no gradient', async () => {
      for (const gate of decays) {
        const { scan, wanted } = known({ ...small, gate, gateOf: () => -1e4 });
        const result = await run(scan);
        expectToMatch(result, wanted);
        expect(result.gradients['logDecay']!.data.every((value) => value === 0)).toBe(true);
      }
    });

    it.each(engine.golden)(
      'reproduces the golden data of $entry with decay $gate',
      async ({ entry, gate }) => {
        const { scan, wanted } = goldenCase(engine, entry, gate);
        expectToMatch(await run(scan, { scale: 1, eraseBeforeDecay: entry === 'comba' }), wanted);
      },
    );

    it('continues from a carried state as if it had not been interrupted', async () => {
      for (const gate of kinds) {
        const { scan } = known({ ...small, batch: 1, gate });
        const all = await run(scan);
        const cut = 20;
        const part = (x: NdArray, from: number, to: number) => {
          const width = x.data.length / x.shape[0]!;
          return nd([to - from, ...x.shape.slice(1)], x.data.subarray(from * width, to * width));
        };
        const piece = (from: number, to: number, state: NdArray): Promise<ScanResult> => {
          const rows = Object.entries(scan.inputs).map(([name, x]) => [
            name,
            x.shape[0] === small.tokens ? part(x, from, to) : x,
          ]);
          const inputs = { ...Object.fromEntries(rows), initialState: state } as ScanCase['inputs'];
          return run({
            ...scan,
            sequences: uniformSequences(1, to - from),
            inputs,
            dO: part(scan.dO, from, to),
          });
        };
        const first = await piece(0, cut, scan.inputs['initialState']!);
        const second = await piece(cut, small.tokens, first.state);
        expect([...first.o.data, ...second.o.data]).toBeCloseRms([...all.o.data], 1e-5);
        expect(second.state).toBeCloseRms(all.state, 1e-5);
      }
    });

    it('leaves outputs before a changed token bit-identical', async () => {
      for (const gate of kinds) {
        const { scan } = known({ ...small, batch: 1, gate });
        const changedAt = 21;
        const change = (x: NdArray) =>
          nd(
            x.shape,
            x.data.map((value, i) => {
              const token = Math.floor((i * x.shape[0]!) / x.data.length);
              return x.shape[0] === small.tokens && token >= changedAt ? value * 0.5 : value;
            }),
          );
        const inputs = Object.fromEntries(Object.entries(scan.inputs).map(([name, x]) => [name, change(x)]));
        const end = changedAt * small.heads * small.valueWidth;
        const before = (result: ScanResult) => [...result.o.data.subarray(0, end)];
        expect(before(await run({ ...scan, inputs }))).toEqual(before(await run(scan)));
      }
    });

    it('passes states through where there is no token at all', async () => {
      const sequences = packedSequences(1, 2, [{ row: 0, start: 0, length: 0 }]);
      const scan = scanCase({
        ...small,
        ...engine.draws,
        batch: 1,
        tokens: 2,
        segments: [{ row: 0, start: 0, length: 0 }],
      });
      const result = await run({ ...scan, sequences });
      expect([...result.o.data].every((value) => value === 0)).toBe(true);
      expect(result.state).toEqual(scan.inputs['initialState']);
      expect(result.gradients['initialState']).toEqual(scan.dState);
    });
  });

  describe(`${engine.name} in chunks`, () => {
    beforeAll(() => openBackend('cpu'));

    it.each([1, 4, 16, 32, 64, 128])('matches the oracle with %s tokens each', async (chunkSize) => {
      for (const gate of kinds) {
        const { scan, wanted } = known({ batch: 1, tokens: 75, heads: 1, keyWidth: 6, valueWidth: 13, gate });
        const options = { sequences: scan.sequences, form: 'chunk', chunkSize } as const;
        expectToMatch(await runScan(scan, (inputs) => engine.op(inputs, options)), wanted);
      }
    });

    it('starts from zeros where no state is given, and needs no other optional input', async () => {
      const { lowRank = false } = engine.draws;
      const scan = scanCase({ ...small, gate: kinds[0]!, lowRank, initial: false });
      const wanted = askOracle(scan, (head) => engine.oracle(head, false));
      const result = await runScan(scan, (inputs) => engine.op(inputs, { sequences: scan.sequences }));
      expectToMatch(result, wanted);
    });

    it('names the argument whose shape is wrong', () => {
      const call = (shapes: Record<string, number[]>, options: object = {}) =>
        tidy(() => {
          const lowRank: Record<string, number[]> = engine.draws.lowRank
            ? { a: [8, 2, 4], b: [8, 2, 4] }
            : {};
          const given = { q: [8, 2, 4], k: [8, 2, 4], v: [8, 2, 3], ...lowRank, ...shapes };
          const inputs = Object.fromEntries(
            Object.entries(given).map(([name, shape]) => [
              name,
              tensor(new Float32Array(shape.reduce((a, b) => a * b)), shape),
            ]),
          );
          engine.op(inputs as never, { sequences: uniformSequences(2, 4), ...options });
        });
      expect(() => call({ k: [8, 2, 5] })).toThrow(`${engine.name}(k)`);
      expect(() => call({ v: [7, 2, 3] })).toThrow(`${engine.name}(v)`);
      expect(() => call({ logDecay: [8, 3] })).toThrow(`${engine.name}(logDecay)`);
      expect(() => call({ initialState: [1, 2, 4, 3] })).toThrow(`${engine.name}(initialState)`);
      expect(() => call({}, { chunkSize: 24 })).toThrow(MnemixError);
    });
  });
}

/** An entry of the golden data: one head, q scaled already, one gate a channel even where they are all equal. */
function goldenCase(
  engine: ScanEngine,
  entry: Parameters<typeof readEngineFixture>[0],
  gate: (typeof gates)[number],
): { scan: ScanCase; wanted: ScanResult } {
  const golden = readEngineFixture(entry);
  const [tokens, dk] = golden.inputs['q']!.shape as [number, number];
  const dv = golden.output.shape[1]!;
  const scalar = (g: NdArray, reduce: (channels: Float64Array) => number) =>
    nd(
      [tokens, 1],
      Array.from({ length: tokens }, (_, t) => reduce(g.data.subarray(t * dk, (t + 1) * dk))),
    );
  const adopt = (arrays: Arrays, reduce: (channels: Float64Array) => number) => {
    const adopted: Record<string, NdArray> = {};
    for (const [theirs, x] of Object.entries(arrays)) {
      const name = engine.goldenNames[theirs] ?? theirs;
      if (theirs === 'S0') adopted[name] = nd([1, 1, dk, dv], x.data);
      else if (theirs === 'u') adopted[name] = nd([1, dk], x.data);
      else if (theirs !== 'g') adopted[name] = nd([tokens, 1, x.shape[1]!], x.data);
      else if (gate !== 'none')
        adopted[name] = gate === 'vector' ? nd([tokens, 1, dk], x.data) : scalar(x, reduce);
    }
    return adopted;
  };
  return {
    scan: {
      segments: [{ row: 0, start: 0, length: tokens }],
      sequences: uniformSequences(1, tokens),
      heads: 1,
      keyWidth: dk,
      valueWidth: dv,
      inputs: adopt(golden.inputs, (channels) => channels[0]!),
      dO: nd([tokens, 1, dv], golden.dOutput.data),
      dState: nd([1, 1, dk, dv], golden.dFinalState.data),
    },
    wanted: {
      o: nd([tokens, 1, dv], golden.output.data),
      state: nd([1, 1, dk, dv], golden.finalState.data),
      gradients: adopt(golden.gradients, (channels) => channels.reduce((a, b) => a + b)),
    },
  };
}
