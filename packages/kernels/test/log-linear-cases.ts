// Random problems of log-linear attention, and what the float64 oracle says of them.
import {
  centralDifferences,
  headOf,
  logLinear,
  logLinearRecurrence,
  nd,
  rows,
  seededRandom,
  type NdArray,
} from '@mnemix/testkit';
import { tensor } from '@mnemix/tensor';
import { logLinearDecay, logLinearDelta, type LogLinearOptions } from '../src/index.ts';
import { batchSequences, type Segment, type Sequences } from '../src/sequences.ts';
import { float32, runOp, type Arrays, type OpResult, type Tensors } from './op-cases.ts';

export interface CaseOptions {
  readonly delta: boolean;
  readonly tokens: number;
  readonly batch?: number;
  readonly heads?: number;
  readonly keyWidth?: number;
  readonly valueWidth?: number;
  readonly levels: number;
  /** Documents of a packed batch; left out, each row is one sequence. */
  readonly segments?: readonly Segment[];
  /** Where each sequence continues from, with a random memory; left out, there is none. */
  readonly positions?: readonly number[];
  /** Replaces the value of a gate that is drawn from U(−0.5, −0.001). */
  readonly gateOf?: (drawn: number, index: number) => number;
  /** Cosine of two keys, about. */
  readonly keyCorrelation?: number;
  /** β is drawn from U(0, 1) times this. */
  readonly betaScale?: number;
}

export interface LogLinearCase {
  readonly delta: boolean;
  readonly sequences: Sequences;
  /** Rows of each sequence. */
  readonly spans: readonly { readonly start: number; readonly length: number }[];
  readonly positions: readonly number[] | undefined;
  readonly levels: number;
  /** q, k, v, logDecay, levelScales, beta by rows, memory by sequences. */
  readonly inputs: Arrays;
  /** Gradients of o and memory. */
  readonly upstream: Arrays;
}

/** Draws a case; all values are exact in float32. */
export function drawCase(options: CaseOptions): LogLinearCase {
  const { tokens, batch = 1, heads: H = 1, keyWidth: dk = 3, valueWidth: dv = 2, levels: L } = options;
  const random = seededRandom(tokens * 7 + L);
  const N = batch * tokens;
  const segments =
    options.segments ?? Array.from({ length: batch }, (_, row) => ({ row, start: 0, length: tokens }));
  const memoryShape = [segments.length, H, L, dk, dv];
  const gates = random.uniforms([N, H], -0.5, -0.001);
  const inputs: Record<string, NdArray> = {
    q: random.normals([N, H, dk]),
    k: unitKeys(random.normals([N, H, dk]), random.normals([H, dk]), options.keyCorrelation ?? 0),
    v: random.normals([N, H, dv]),
    logDecay: nd([N, H], gates.data.map(options.gateOf ?? ((x) => x))),
    levelScales: random.uniforms([N, H, L], 0.2, 1.5),
  };
  if (options.delta) inputs['beta'] = random.uniforms([N, H], 0, options.betaScale ?? 1);
  if (options.positions) inputs['memory'] = random.normals(memoryShape);
  return {
    delta: options.delta,
    sequences: batchSequences(batch, tokens, options.segments),
    spans: segments.map(({ row, start, length }) => ({ start: row * tokens + start, length })),
    positions: options.positions,
    levels: L,
    inputs: Object.fromEntries(Object.entries(inputs).map(([name, value]) => [name, float32(value)])),
    upstream: { o: float32(random.normals([N, H, dv])), memory: float32(random.normals(memoryShape)) },
  };
}

/** Keys of length 1 that share a direction [H, dk]. */
function unitKeys(keys: NdArray, common: NdArray, mix: number): NdArray {
  const width = keys.shape.at(-1)!;
  const mixed = keys.data.map(
    (x, i) => Math.sqrt(mix) * common.data[i % common.data.length]! + Math.sqrt(1 - mix) * x,
  );
  const norm = (i: number) => Math.hypot(...mixed.subarray(i - (i % width), i - (i % width) + width));
  return nd(
    keys.shape,
    mixed.map((x, i) => x / norm(i)),
  );
}

/**
 * Outputs by the oracle's definition, gradients by central differences of its decode rule, which is 20 times
 * faster.
 */
function askOracle({ inputs, upstream, spans, positions }: LogLinearCase): OpResult {
  const [, heads = 0, dk = 0] = inputs['q']!.shape;
  const like = (arrays: Arrays) =>
    Object.fromEntries(Object.entries(arrays).map(([name, x]) => [name, nd(x.shape)]));
  const [outputs, gradients] = [like(upstream), like(inputs)];
  spans.forEach(({ start, length }, s) => {
    for (let h = 0; h < heads; h++) {
      const first = (name: string) => (name === 'memory' ? s : start);
      const count = (name: string) => (name === 'memory' ? 1 : length);
      const pick = (name: string, x: NdArray) => {
        const part = headOf(rows(x, first(name), first(name) + count(name)), h);
        return name === 'memory' ? nd(part.shape.slice(1), part.data) : part;
      };
      const put = (arrays: Arrays, name: string, part: NdArray) => {
        const target = arrays[name]!;
        const width = part.data.length / count(name) || 0;
        for (let t = 0; t < count(name); t++) {
          const at = ((first(name) + t) * heads + h) * width;
          target.data.set(part.data.subarray(t * width, (t + 1) * width), at);
        }
      };
      const head = Object.fromEntries(Object.entries(inputs).map(([name, x]) => [name, pick(name, x)]));
      const ask = (oracle: typeof logLinear, arrays: Arrays) => {
        const q = nd(
          arrays['q']!.shape,
          arrays['q']!.data.map((x) => x * dk ** -0.5),
        );
        return oracle({
          ...(arrays as unknown as Parameters<typeof logLinear>[0]),
          q,
          position: positions?.[s],
        });
      };
      const { output, memory } = ask(logLinear, head);
      put(outputs, 'o', output);
      put(outputs, 'memory', memory);
      const grads = [pick('o', upstream['o']!), pick('memory', upstream['memory']!)];
      const value = (arrays: Arrays) => {
        const result = ask(logLinearRecurrence, arrays);
        return [result.output, result.memory].reduce(
          (total, x, i) => total + x.data.reduce((sum, entry, at) => sum + entry * grads[i]!.data[at]!, 0),
          0,
        );
      };
      const differences = centralDifferences(value, head);
      for (const [name, gradient] of Object.entries(differences)) put(gradients, name, gradient);
    }
  });
  return { outputs, gradients };
}

const known = new Map<string, { problem: LogLinearCase; wanted: OpResult }>();

/** A case and what the oracle says of it, computed once for all variants. */
export function knownCase(options: CaseOptions): { problem: LogLinearCase; wanted: OpResult } {
  const key = JSON.stringify([options, String(options.gateOf)]);
  if (!known.has(key)) {
    const problem = drawCase(options);
    known.set(key, { problem, wanted: askOracle(problem) });
  }
  return known.get(key)!;
}

/** The op on a case, forward and backward; `position` is a third output. Fails if a tensor leaks. */
export function runCase(problem: LogLinearCase, options: Partial<LogLinearOptions> = {}): Promise<OpResult> {
  const op = ({ memory, ...tensors }: Tensors): Tensors => {
    const initialState = memory && {
      memory,
      position: tensor([...problem.positions!], undefined, 'float32'),
    };
    const run = problem.delta ? logLinearDelta : logLinearDecay;
    const named = { ...tensors, initialState } as never;
    const { o, state } = run(named, { sequences: problem.sequences, ...options });
    return { o, ...state };
  };
  return runOp(problem.inputs, op, problem.upstream);
}
