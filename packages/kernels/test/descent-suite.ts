// What holds for every memory that learns by gradient descent (TTT-linear, Titans), on every backend.
import { memory, MnemixError, openBackend, tensor, zeros, type Tensor } from '@mnemix/tensor';
import { at, headOf, map, nd, rows, seededRandom, type NdArray } from '@mnemix/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { batchSequences, type Segment } from '../src/sequences.ts';
import {
  expectToMatch,
  float32,
  runOp,
  runOracle,
  toTensor,
  type Arrays,
  type OpResult,
  type Tensors,
} from './op-cases.ts';

/** Shapes by name, behind [H] or [S, H]. */
type Shapes = Readonly<Record<string, readonly number[]>>;

export interface DescentEngine {
  readonly name: string;
  readonly op: (
    inputs: never,
    options: never,
  ) => { o: Tensor; state: Readonly<Record<string, Tensor | undefined>> };
  /** The option that says how many tokens are answered by the same memory. */
  readonly chunkOption: string;
  /**
   * Inputs [N, H] of numbers in [0, 1], with the largest to draw: steps must be small enough for the inner
   * descent to be stable, or it makes every rounding larger with each token.
   */
  readonly gates: Readonly<Record<string, number>>;
  /** The inputs of the initial memory. */
  readonly initial: (width: number) => Shapes;
  /** The state's tensors, but for the phase. */
  readonly states: (width: number) => Shapes;
  /**
   * o, the states and the phase [1], of one head of one sequence: inputs under the op's names, queries
   * scaled.
   */
  readonly oracle: (head: Arrays, phase: number, chunkSize: number) => Arrays;
}

interface CaseOptions {
  readonly batch: number;
  readonly tokens: number;
  readonly heads: number;
  readonly width: number;
  readonly segments?: readonly Segment[];
  /** Tokens that each sequence has seen of its chunk in earlier calls; left out, there is no state. */
  readonly phases?: readonly number[];
  readonly chunkSize?: number;
  /** Draws no initial memory. */
  readonly fromZeros?: boolean;
  /** Replaces gates drawn from U(0.02, …). */
  readonly gateOf?: (drawn: number, index: number, gate: string) => number;
}

interface Case {
  readonly options: CaseOptions;
  readonly inputs: Arrays;
  /** Gradients of the outputs. */
  readonly upstream: Arrays;
}

const small = { batch: 2, tokens: 37, heads: 2, width: 5 };

/** Documents with a gap, an empty one, one of a single token, and one that ends with its row. */
const documents = [
  { row: 0, start: 0, length: 21 },
  { row: 0, start: 25, length: 1 },
  { row: 1, start: 3, length: 0 },
  { row: 1, start: 4, length: 33 },
];

const segmentsOf = ({ batch, tokens, segments }: CaseOptions): readonly Segment[] =>
  segments ?? Array.from({ length: batch }, (_, row) => ({ row, start: 0, length: tokens }));

function draw(engine: DescentEngine, options: CaseOptions): Case {
  const { heads, width, phases, gateOf = (x) => x } = options;
  const random = seededRandom(7);
  const [N, H, D, S] = [options.batch * options.tokens, heads, width, segmentsOf(options).length];
  const normals = (shapes: Shapes, outer: number[], scale: number) =>
    Object.entries(shapes).map(
      ([name, shape]) => [name, random.normals([...outer, ...shape], scale)] as const,
    );
  const gates = Object.entries(engine.gates).map(([name, largest]) => {
    const drawn = random.uniforms([N, H], 0.02, largest);
    return [name, map(drawn, (x, i) => gateOf(x, i, name))] as const;
  });
  const rounded = (arrays: (readonly [string, NdArray])[]) =>
    Object.fromEntries(arrays.map(([name, x]) => [name, float32(x)]));
  return {
    options,
    inputs: rounded([
      ['q', random.normals([N, H, D])],
      ['k', random.normals([N, H, D], D ** -0.5)],
      ['v', random.normals([N, H, D])],
      ...gates,
      ['normWeight', map(random.normals([H, D], 0.3), (x) => 1 + x)],
      ['normBias', random.normals([H, D], 0.3)],
      ...(options.fromZeros ? [] : normals(engine.initial(D), [H], 0.5)),
      ...(phases ? normals(engine.states(D), [S, H], 0.3) : []),
    ]),
    upstream: rounded([['o', random.normals([N, H, D])], ...normals(engine.states(D), [S, H], 1)]),
  };
}

/**
 * The part of a tensor that one head of one sequence has to do with, as a view or a copy, and how to add to
 * it.
 */
interface Part {
  readonly of: (name: string, x: NdArray) => NdArray;
  readonly addTo: (name: string, x: NdArray, part: NdArray) => void;
}

function partOf(
  engine: DescentEngine,
  options: CaseOptions,
  { row, start, length }: Segment,
  s: number,
  h: number,
): Part {
  const perHead = new Set(['normWeight', 'normBias', ...Object.keys(engine.initial(1))]);
  const perSequence = new Set(Object.keys(engine.states(1)));
  const first = row * options.tokens + start;
  /** The rows of x, seen as [rows, H, …], that belong to this part. */
  const place = (name: string): [from: number, count: number] =>
    perHead.has(name) ? [0, 1] : perSequence.has(name) ? [s, 1] : [first, length];
  const withRows = (name: string, x: NdArray): NdArray =>
    perHead.has(name) ? { shape: [1, ...x.shape], data: x.data } : x;
  return {
    of: (name, x) => {
      const [from, count] = place(name);
      const part = headOf(rows(withRows(name, x), from, from + count), h);
      return perHead.has(name) || perSequence.has(name) ? at(part, 0) : part;
    },
    addTo: (name, x, part) => {
      const [from, count] = place(name);
      const width = part.data.length / count;
      part.data.forEach((value, i) => {
        const target = (from + Math.floor(i / width)) * options.heads + h;
        x.data[target * width + (i % width)]! += value;
      });
    },
  };
}

/**
 * Outputs and gradients by the oracle; since heads and sequences do not meet, each has its own small
 * differences.
 */
function ask(engine: DescentEngine, { options, inputs, upstream }: Case): OpResult {
  const { heads, width, phases, chunkSize = 16 } = options;
  const segments = segmentsOf(options);
  const zeroed = (arrays: Arrays) =>
    Object.fromEntries(Object.entries(arrays).map(([name, x]) => [name, nd(x.shape)]));
  const [outputs, gradients] = [zeroed(upstream), zeroed(inputs)];
  const phase = nd([segments.length]);
  segments.forEach((segment, s) => {
    for (let h = 0; h < heads; h++) {
      const part = partOf(engine, options, segment, s, h);
      const own = (arrays: Arrays) =>
        Object.fromEntries(Object.entries(arrays).map(([name, x]) => [name, part.of(name, x)]));
      const oracle = ({ q, ...head }: Arrays) =>
        engine.oracle({ q: map(q!, (x) => x * width ** -0.5), ...head }, phases?.[s] ?? 0, chunkSize);
      const result = runOracle(own(inputs), oracle, own(upstream));
      for (const [name, x] of Object.entries(outputs)) part.addTo(name, x, result.outputs[name]!);
      for (const [name, x] of Object.entries(gradients)) part.addTo(name, x, result.gradients[name]!);
      phase.data[s] = result.outputs['phase']!.data[0]!;
    }
  });
  return { outputs: { ...outputs, phase }, gradients };
}

function callOp(engine: DescentEngine, tensors: Tensors, options: CaseOptions): Tensors {
  const { batch, tokens, width, segments, phases, chunkSize } = options;
  const names = Object.keys(engine.states(width));
  const inputs = Object.entries(tensors).filter(([name]) => !names.includes(name));
  const state = Object.fromEntries(names.map((name) => [name, tensors[name]]));
  const { o, state: next } = engine.op(
    {
      ...Object.fromEntries(inputs),
      initialState: phases && { ...state, phase: tensor([...phases], [phases.length], 'float32') },
    } as never,
    { sequences: batchSequences(batch, tokens, segments), [engine.chunkOption]: chunkSize } as never,
  );
  return { o, ...(next as Tensors) };
}

export function describeDescent(engine: DescentEngine, title = engine.name): void {
  const known = new Map<string, { scan: Case; wanted: OpResult }>();
  /** A case and what the oracle says of it, computed once for all backends. */
  const withOracle = (options: CaseOptions) => {
    const key = JSON.stringify([options, String(options.gateOf)]);
    if (!known.has(key)) {
      const scan = draw(engine, options);
      known.set(key, { scan, wanted: ask(engine, scan) });
    }
    return known.get(key)!;
  };
  const run = ({ options, inputs, upstream }: Case): Promise<OpResult> =>
    runOp(inputs, (tensors) => callOp(engine, tensors, options), upstream);
  const check = async (options: CaseOptions): Promise<void> => {
    const { scan, wanted } = withOracle(options);
    expectToMatch(await run(scan), wanted);
  };

  describe.each(['cpu', 'wasm'] as const)(`${title} on %s`, (backend) => {
    beforeAll(() => openBackend(backend));

    it.each([
      { batch: 2, tokens: 1, heads: 3, width: 5 },
      { batch: 3, tokens: 2, heads: 1, width: 3 },
      { batch: 2, tokens: 15, heads: 2, width: 7 },
      { batch: 1, tokens: 16, heads: 2, width: 8 },
      { batch: 2, tokens: 17, heads: 1, width: 6 },
      { batch: 1, tokens: 37, heads: 2, width: 5 },
      { batch: 1, tokens: 75, heads: 1, width: 6 },
    ])('matches the oracle for B$batch T$tokens H$heads D$width', async (shape) => {
      await check(shape);
      await check({ ...shape, phases: [11, 0, 15].slice(0, shape.batch) });
    });

    it('keeps packed documents apart, wherever in a chunk each of them starts', async () => {
      await check({ ...small, segments: documents });
      await check({ ...small, segments: documents, phases: [6, 15, 9, 0] });
      await check({ ...small, segments: documents, phases: [0, 3, 0, 14] });
    });

    it('takes single tokens among empty sequences', async () => {
      const segments = [0, 1, 0, 1, 1].map((length, row) => ({ row, start: 0, length }));
      await check({ batch: 5, tokens: 2, heads: 2, width: 5, segments, phases: [15, 15, 4, 4, 0] });
    });

    it('takes gates that are fully open or closed', async () => {
      const mixed = (drawn: number, index: number, gate: string) =>
        [drawn, 0, 1, drawn, 1, 0, 0][(index + gate.length) % 7]!;
      await check({ ...small, batch: 1, gateOf: mixed });
      await check({ ...small, batch: 1, gateOf: mixed, phases: [5] });
      await check({ ...small, batch: 1, tokens: 20, gateOf: () => 0 });
      await check({ ...small, batch: 1, tokens: 20, gateOf: () => 1 });
    });

    it.each([1, 2, 5, 32])('answers %s tokens from the same memory if asked to', async (chunkSize) => {
      await check({ batch: 1, tokens: 37, heads: 1, width: 5, chunkSize });
      await check({ batch: 1, tokens: 37, heads: 1, width: 5, chunkSize, phases: [chunkSize - 1] });
    });

    it('starts from a memory of zeros where none is given', async () => {
      await check({ batch: 1, tokens: 37, heads: 1, width: 5, fromZeros: true });
    });

    it.each([
      { cuts: [1] },
      { cuts: [16] },
      { cuts: [20] },
      { cuts: [5, 6, 22] },
      { cuts: Array.from({ length: 36 }, (_, t) => t + 1) },
    ])('continues from states carried over cuts at $cuts as if there were none', async ({ cuts }) => {
      const { scan, wanted } = withOracle({ ...small, batch: 1 });
      const o: number[] = [];
      let carried: Arrays = {};
      for (const [i, from] of [0, ...cuts].entries()) {
        const to = cuts[i] ?? small.tokens;
        const { phase, ...states } = carried;
        const cut = (x: NdArray) => (x.shape[0] === small.tokens ? rows(x, from, to) : x);
        const inputs = Object.entries(scan.inputs).map(([name, x]) => [name, cut(x)]);
        const { outputs } = await run({
          options: { ...scan.options, tokens: to - from, ...(phase && { phases: [...phase.data] }) },
          inputs: { ...Object.fromEntries(inputs), ...states },
          upstream: { o: cut(scan.upstream['o']!) },
        });
        const { o: part, ...rest } = outputs;
        o.push(...part!.data);
        carried = rest;
      }
      expect(o).toBeCloseRms([...wanted.outputs['o']!.data], 1e-5);
      for (const [name, value] of Object.entries(carried))
        expect(value, name).toBeCloseRms(wanted.outputs[name]!, 1e-5);
    });

    it('leaves outputs before a changed token bit-identical', async () => {
      const { scan } = withOracle({ ...small, batch: 1 });
      const changedAt = 21;
      const change = (x: NdArray) => {
        const width = x.data.length / small.tokens;
        return x.shape[0] === small.tokens ? map(x, (y, i) => (i >= changedAt * width ? y / 2 : y)) : x;
      };
      const changed = Object.entries(scan.inputs).map(([name, x]) => [name, change(x)]);
      const before = (result: OpResult) => [...rows(result.outputs['o']!, 0, changedAt).data];
      const after = await run({ ...scan, inputs: Object.fromEntries(changed) });
      expect(before(after)).toEqual(before(await run(scan)));
    });

    it('leaves states of sequences without tokens as they are, to the bit', async () => {
      const lengths = [[0], [0, 3]];
      for (const [first, ...others] of lengths) {
        const segments = [first!, ...others].map((length, row) => ({ row, start: 0, length }));
        const phases = segments.map(() => 5);
        const scan = draw(engine, { batch: 2, tokens: 3, heads: 2, width: 3, segments, phases });
        const { outputs, gradients } = await run(scan);
        for (const name of Object.keys(engine.states(3))) {
          expect(at(outputs[name]!, 0)).toEqual(at(scan.inputs[name]!, 0));
          expect(at(gradients[name]!, 0)).toEqual(at(scan.upstream[name]!, 0));
        }
        expect(outputs['phase']!.data[0]).toBe(5);
        expect(rows(outputs['o']!, 0, 3).data.every((value) => value === 0)).toBe(true);
      }
    });

    it('leaves no tensor behind but its results', () => {
      const { options, inputs } = draw(engine, { ...small, phases: [3, 0] });
      const tensors = Object.fromEntries(Object.entries(inputs).map(([name, x]) => [name, toTensor(x)]));
      const before = memory().numTensors;
      const results = Object.values(callOp(engine, tensors, options));
      // The phases and the three tensors of the sequences are the caller's.
      expect(memory().numTensors - before).toBe(results.length + 4);
      for (const made of [...results, ...Object.values(tensors)]) made.dispose();
    });

    it('names the argument that is wrong', () => {
      const given: Record<string, number[]> = { q: [8, 2, 4], k: [8, 2, 4], v: [8, 2, 4] };
      const gates = Object.keys(engine.gates);
      for (const gate of gates) given[gate] = [8, 2];
      for (const norm of ['normWeight', 'normBias']) given[norm] = [2, 4];
      const call =
        (shapes: Record<string, number[]>, options: object = {}, state?: object) =>
        () => {
          const inputs = Object.entries({ ...given, ...shapes }).map(([name, shape]) => [name, zeros(shape)]);
          engine.op(
            { ...Object.fromEntries(inputs), initialState: state } as never,
            { sequences: batchSequences(2, 4), ...options } as never,
          );
        };
      expect(call({ k: [8, 2, 5] })).toThrow(`${engine.name}(k)`);
      expect(call({ [gates[0]!]: [8, 3] })).toThrow(`${engine.name}(${gates[0]})`);
      expect(call({ normBias: [4] })).toThrow(`${engine.name}(normBias)`);
      expect(call({}, {}, { phase: zeros([3]) })).toThrow(`${engine.name}(initialState)(phase)`);
      for (const wrong of [0, -1, 2.5]) {
        expect(call({}, { [engine.chunkOption]: wrong })).toThrow(MnemixError);
        expect(call({}, { [engine.chunkOption]: wrong })).toThrow(`${engine.name}(${engine.chunkOption})`);
      }
    });
  });
}
