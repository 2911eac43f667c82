// Random problems for the memory of MesaNet, what the float64 oracle says of them, and what the op does.
import { map, mesa as oracle, nd, seededRandom, sizeOf, type NdArray } from '@mnemix/testkit';
import { matMul, type Tensor } from '@mnemix/tensor';
import { mesa, type MesaOptions } from '../src/index.ts';
import { batchSequences, type Segment } from '../src/sequences.ts';
import { float32, runOp, runOracle, type Arrays, type OpResult, type Tensors } from './op-cases.ts';

export interface CaseOptions {
  readonly batch: number;
  readonly tokens: number;
  readonly heads: number;
  readonly keyWidth: number;
  readonly valueWidth: number;
  readonly segments?: readonly Segment[];
  /** Draws an initial state. */
  readonly carried?: boolean;
  /** Replaces gates drawn from U(−0.5, −0.001). */
  readonly gateOf?: (drawn: number, index: number) => number;
  /** Cosine of two keys, about. */
  readonly keyCorrelation?: number;
  readonly betas?: readonly [least: number, most: number];
  readonly queryScale?: number;
}

export interface Case {
  readonly options: CaseOptions;
  /** Where the sequences lie in the rows. */
  readonly ranges: readonly { readonly start: number; readonly length: number }[];
  /** `factor` [S, H, dk, dk] stands for the initial keys F Fᵀ. */
  readonly inputs: Arrays;
  readonly upstream: Arrays;
}

export function draw(options: CaseOptions): Case {
  const { batch, tokens, heads: H, keyWidth: dk, valueWidth: dv, gateOf = (x) => x } = options;
  const { keyCorrelation = 0, betas = [0, 1], queryScale = 1 } = options;
  const random = seededRandom(11);
  const N = batch * tokens;
  const whole = Array.from({ length: batch }, (_, row) => ({ row, start: 0, length: tokens }));
  const segments = options.segments ?? whole;
  const S = segments.length;
  const common = random.normals([H, dk], keyCorrelation ** 0.5);
  const keys = map(
    random.normals([N, H, dk], (1 - keyCorrelation) ** 0.5),
    (x, i) => x + common.data[i % (H * dk)]!,
  );
  const length = (i: number) => Math.hypot(...keys.data.subarray(i - (i % dk), i - (i % dk) + dk));
  const inputs = {
    q: random.normals([N, H, dk], queryScale),
    k: map(keys, (x, i) => x / length(i)),
    v: random.normals([N, H, dv]),
    beta: random.uniforms([N, H], ...betas),
    logDecay: map(random.uniforms([N, H], -0.5, -0.001), gateOf),
    ridge: random.uniforms([H, dk], 0.25, 1.5),
    ...(options.carried && {
      factor: random.normals([S, H, dk, dk], dk ** -0.5),
      values: random.normals([S, H, dk, dv]),
    }),
  };
  const upstream = {
    o: random.normals([N, H, dv]),
    keys: random.normals([S, H, dk, dk]),
    values: random.normals([S, H, dk, dv]),
  };
  const rounded = (arrays: Arrays): Arrays =>
    Object.fromEntries(Object.entries(arrays).map(([name, x]) => [name, float32(x)]));
  return {
    options,
    ranges: segments.map(({ row, start, length }) => ({ start: row * tokens + start, length })),
    inputs: rounded(inputs),
    upstream: rounded(upstream),
  };
}

/** F Fᵀ. */
const squared = ({ shape: [n = 0], data }: NdArray): NdArray => {
  const product = nd([n, n]);
  for (let i = 0; i < n * n; i++) {
    const [row, column] = [Math.floor(i / n), i % n];
    for (let m = 0; m < n; m++) product.data[i]! += data[row * n + m]! * data[column * n + m]!;
  }
  return product;
};

/** o, keys and values of one head of one sequence. */
function oneHead({ factor, values, ...inputs }: Arrays): Arrays {
  const initialState = factor && { keys: squared(factor), values: values! };
  const { output, finalState } = oracle({ ...inputs, initialState } as Parameters<typeof oracle>[0]);
  return { o: output, ...finalState };
}

const ofStates = new Set(['factor', 'keys', 'values']);

/** What `answer` says of all heads of all sequences, put together; what heads share is summed. */
function askAll(
  { options: { heads }, ranges, inputs, upstream }: Case,
  answer: (inputs: Arrays, upstream: Arrays) => OpResult,
): OpResult {
  const zerosOf = (arrays: Arrays): Arrays =>
    Object.fromEntries(Object.entries(arrays).map(([name, x]) => [name, nd(x.shape)]));
  const total = { outputs: zerosOf(upstream), gradients: zerosOf(inputs) };
  ranges.forEach(({ start, length }, s) => {
    for (let h = 0; h < heads; h++) {
      /** The head's rows of an array [rows, H, …], or of λ [H, dk]. */
      const rowsOf = (name: string) =>
        name === 'ridge' ? [0] : ofStates.has(name) ? [s] : Array.from({ length }, (_, t) => start + t);
      const pick = (arrays: Arrays): Arrays => {
        const part = (name: string, x: NdArray) => {
          const isOne = name === 'ridge' || ofStates.has(name);
          const shape = x.shape.slice(name === 'ridge' ? 1 : 2);
          const width = sizeOf(shape);
          const values = rowsOf(name).flatMap((row) => [
            ...x.data.subarray((row * heads + h) * width, (row * heads + h + 1) * width),
          ]);
          return nd(isOne ? shape : [length, ...shape], values);
        };
        return Object.fromEntries(Object.entries(arrays).map(([name, x]) => [name, part(name, x)]));
      };
      const result = answer(pick(inputs), pick(upstream));
      for (const kind of ['outputs', 'gradients'] as const) {
        for (const [name, x] of Object.entries(result[kind])) {
          const width = x.data.length / rowsOf(name).length;
          x.data.forEach((value, i) => {
            const row = rowsOf(name)[Math.floor(i / width)]!;
            total[kind][name]!.data[(row * heads + h) * width + (i % width)]! += value;
          });
        }
      }
    }
  });
  return total;
}

/** The outputs alone. */
export const outputsOf = (scan: Case): Arrays =>
  askAll(scan, (x) => ({ outputs: oneHead(x), gradients: {} })).outputs;

export type Solver = Omit<MesaOptions, 'sequences'>;

export const run = (scan: Case, solver: Solver): Promise<OpResult> => {
  const { batch, tokens, segments } = scan.options;
  const sequences = batchSequences(batch, tokens, segments);
  const op = ({ factor, values, keys, ...tensors }: Tensors): Tensors => {
    const carried = keys ?? (factor && matMul<Tensor>(factor, factor, false, true));
    const initialState = carried && { keys: carried, values: values! };
    const { o, state } = mesa({ ...tensors, initialState } as never, { sequences, ...solver });
    return { o, ...state };
  };
  return runOp(scan.inputs, op, scan.upstream);
};

const known = new Map<string, { scan: Case; wanted: OpResult }>();

/** A case and what the oracle says of it, computed once for all backends. */
export const withOracle = (options: CaseOptions) => {
  const key = JSON.stringify([options, String(options.gateOf)]);
  if (!known.has(key)) {
    const scan = draw(options);
    known.set(key, { scan, wanted: askAll(scan, (x, weights) => runOracle(x, oneHead, weights)) });
  }
  return known.get(key)!;
};
