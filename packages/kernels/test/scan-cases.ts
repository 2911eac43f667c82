// Random scans, what the float64 oracles say of them, and what the ops do: shared by the engines' tests.
import { headOf, nd, rows, seededRandom, type NdArray } from '@mnemix/testkit';
import type { Tensor } from '@mnemix/tensor';
import { batchSequences, type Segment, type Sequences } from '../src/sequences.ts';
import { float32, runOp, type Arrays, type Tensors } from './op-cases.ts';

/** A problem for one of the engines. */
export interface ScanCase {
  readonly segments: readonly Segment[];
  readonly sequences: Sequences;
  readonly heads: number;
  readonly keyWidth: number;
  readonly valueWidth: number;
  /** q, k, v [N, H, d], logDecay, beta, …, initialState [S, H, dk, dv], under the ops' names. */
  readonly inputs: Arrays;
  /** Gradients of the outputs. */
  readonly dO: NdArray;
  readonly dState: NdArray;
  /** Whether the result depends on the last states: it does if left out. Else `dState` is 0. */
  readonly usesState?: boolean;
}

export interface ScanResult {
  readonly o: NdArray;
  readonly state: NdArray;
  readonly gradients: Arrays;
}

export interface CaseOptions {
  readonly batch: number;
  readonly tokens: number;
  readonly heads: number;
  readonly keyWidth: number;
  readonly valueWidth: number;
  /** Documents of a packed batch; left out, each row is one sequence. */
  readonly segments?: readonly Segment[];
  /** One gate a token, one a key channel, or one a value channel. */
  readonly gate?: 'none' | 'scalar' | 'vector' | 'value';
  /** Which optional inputs to draw. */
  readonly bonus?: boolean;
  readonly beta?: boolean;
  readonly erase?: boolean;
  /** Draws a = −κ and b = κ ⊙ α, with κ of length 1 (RWKV-7). */
  readonly lowRank?: boolean;
  readonly initial?: boolean;
  readonly usesState?: boolean;
  readonly seed?: number;
  /** Replaces the value of a gate that is drawn from U(−0.5, −0.001). */
  readonly gateOf?: (drawn: number, index: number) => number;
  /** Cosine of two keys, about; of two κ, and of a key and a κ, as well. */
  readonly keyCorrelation?: number;
  /** β is drawn from U(0, 1) times this. */
  readonly betaScale?: number;
  /** α is drawn from U(least, most); from U(0, 1) if left out. */
  readonly alphas?: readonly [least: number, most: number];
}

/** Draws a case; all values are exact in float32. */
export function scanCase(options: CaseOptions): ScanCase {
  const {
    batch,
    tokens,
    heads,
    keyWidth,
    valueWidth,
    gate = 'none',
    initial = true,
    usesState = true,
    seed = 1,
  } = options;
  const random = seededRandom(seed);
  const [N, H, dk, dv] = [batch * tokens, heads, keyWidth, valueWidth];
  const segments =
    options.segments ?? Array.from({ length: batch }, (_, row) => ({ row, start: 0, length: tokens }));
  const S = segments.length;

  const common = random.normals([H, dk]);
  const mix = options.keyCorrelation ?? 0;
  const drawKeys = () => {
    const drawn = random.normals([N, H, dk]);
    const correlate = (x: number, i: number) =>
      Math.sqrt(mix) * common.data[i % (H * dk)]! + Math.sqrt(1 - mix) * x;
    return normalised(nd(drawn.shape, drawn.data.map(correlate)));
  };
  const k = drawKeys();
  const inputs: Record<string, NdArray> = {
    q: random.normals([N, H, dk]),
    k,
    v: random.normals([N, H, dv]),
  };
  if (gate !== 'none') {
    const perToken = { scalar: [N, H], vector: [N, H, dk], value: [N, H, dv] };
    const drawn = random.uniforms(perToken[gate], -0.5, -0.001);
    inputs['logDecay'] = nd(drawn.shape, drawn.data.map(options.gateOf ?? ((x) => x)));
  }
  if (options.bonus) inputs['bonus'] = random.normals([H, dk]);
  if (options.beta)
    inputs['beta'] = nd(
      [N, H],
      random.uniforms([N, H], 0, 1).data.map((x) => x * (options.betaScale ?? 1)),
    );
  if (options.erase) inputs['erase'] = normalised(random.normals([N, H, dk]));
  if (options.lowRank) {
    const kappa = drawKeys();
    const alpha = random.uniforms([N, H, dk], ...(options.alphas ?? [0, 1]));
    inputs['a'] = nd(
      kappa.shape,
      kappa.data.map((x) => -x),
    );
    inputs['b'] = nd(
      kappa.shape,
      kappa.data.map((x, i) => x * alpha.data[i]!),
    );
  }
  if (initial) inputs['initialState'] = random.normals([S, H, dk, dv]);
  return {
    segments: segments.map(({ row, start, length }) => ({ row: 0, start: row * tokens + start, length })),
    sequences: batchSequences(batch, tokens, options.segments),
    heads,
    keyWidth,
    valueWidth,
    inputs: Object.fromEntries(Object.entries(inputs).map(([name, value]) => [name, float32(value)])),
    dO: float32(random.normals([N, H, dv])),
    dState: usesState ? float32(random.normals([S, H, dk, dv])) : nd([S, H, dk, dv]),
    usesState,
  };
}

const parallel = { batch: 1, tokens: 130, heads: 1, valueWidth: 9, keyCorrelation: 0.99 };

/**
 * Low-rank scans with keys nearly parallel and α as large as the memory bears: e^g − α may not leave [−1, 1], and e^g is 0.6
 * and more. Without decay no rounding is forgotten, and how much it comes to differs by the draw.
 */
export const parallelDraws: readonly CaseOptions[] = [
  ...[3, 5, 9].flatMap((seed) =>
    [17, 33].map((keyWidth) => ({ ...parallel, keyWidth, seed, alphas: [1.9, 1.99] as const })),
  ),
  { ...parallel, keyWidth: 17, gate: 'scalar', alphas: [1.5, 1.6] },
  { ...parallel, keyWidth: 17, gate: 'vector', alphas: [1.5, 1.6] },
];

/** Every vector along the last axis scaled to length 1. */
function normalised(x: NdArray): NdArray {
  const width = x.shape.at(-1)!;
  return nd(
    x.shape,
    x.data.map((value, i) => {
      const first = i - (i % width);
      return value / Math.hypot(...x.data.subarray(first, first + width));
    }),
  );
}

/** One head of one sequence, as the oracles take it. */
export interface OneHead {
  /** Inputs by their names, per-token ones [T, …]; q is scaled. */
  readonly inputs: Arrays;
  readonly dO: NdArray;
  readonly dState: NdArray;
}

export interface OneHeadResult {
  readonly o: NdArray;
  readonly state: NdArray;
  readonly gradients: Arrays;
}

const perHead = new Set(['bonus']);

/** Runs an oracle over all sequences and heads. Gradients come back in the inputs' shapes, of the unscaled q. */
export function askOracle(scan: ScanCase, oracle: (head: OneHead) => OneHeadResult): ScanResult {
  const { inputs, segments, heads, keyWidth, dO, dState } = scan;
  const scale = keyWidth ** -0.5;
  const o = nd(dO.shape);
  const state = nd(dState.shape);
  const gradients = Object.fromEntries(
    Object.entries(inputs).map(([name, value]) => [name, nd(value.shape)]),
  );
  segments.forEach(({ start, length }, s) => {
    for (let h = 0; h < heads; h++) {
      const ofTokens = (x: NdArray) => headOf(rows(x, start, start + length), h);
      const ofSequence = (x: NdArray) => headOf(rows(x, s, s + 1), h);
      const pick = (name: string, x: NdArray) =>
        name === 'initialState'
          ? nd(x.shape.slice(2), ofSequence(x).data)
          : perHead.has(name)
            ? nd(x.shape.slice(1), rows(x, h, h + 1).data)
            : ofTokens(x);
      const head = Object.fromEntries(Object.entries(inputs).map(([name, x]) => [name, pick(name, x)]));
      head['q'] = nd(
        head['q']!.shape,
        head['q']!.data.map((x) => x * scale),
      );
      const result = oracle({
        inputs: head,
        dO: ofTokens(dO),
        dState: nd(dState.shape.slice(2), ofSequence(dState).data),
      });
      put(o, result.o, start, length, h, heads);
      put(state, nd([1, ...result.state.shape], result.state.data), s, 1, h, heads);
      for (const [name, gradient] of Object.entries(gradients)) {
        const part = result.gradients[name]!;
        if (name === 'initialState') put(gradient, nd([1, ...part.shape], part.data), s, 1, h, heads);
        else if (perHead.has(name))
          part.data.forEach((x, i) => (gradient.data[h * part.data.length + i]! += x));
        else
          put(
            gradient,
            name === 'q'
              ? nd(
                  part.shape,
                  part.data.map((x) => x * scale),
                )
              : part,
            start,
            length,
            h,
            heads,
          );
      }
    }
  });
  return { o, state, gradients };
}

/** Writes part [count, …] to x [rows, heads, …] at head h. */
function put(x: NdArray, part: NdArray, first: number, count: number, h: number, heads: number): void {
  const width = x.data.length / (x.shape[0]! * heads);
  for (let t = 0; t < count; t++) {
    for (let c = 0; c < width; c++) x.data[((first + t) * heads + h) * width + c] = part.data[t * width + c]!;
  }
}

/** Runs an op forward and backward on the current backend, on poisoned memory; fails if a tensor leaks. */
export async function runScan(
  scan: ScanCase,
  op: (inputs: never) => { o: Tensor; state: Tensor },
): Promise<ScanResult> {
  const named = op as unknown as (inputs: Tensors) => Tensors;
  const { inputs, dO, dState, usesState = true } = scan;
  const { outputs, gradients } = await runOp(inputs, named, { o: dO, ...(usesState && { state: dState }) });
  return { o: outputs['o']!, state: outputs['state']!, gradients };
}
