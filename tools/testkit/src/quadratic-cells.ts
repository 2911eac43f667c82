/**
 * Based and ReBased from their kernels, not their feature maps: each token reads all values up to its own,
 * weighted by κ(q, k) over the sum of the weights. The state is every key and value so far.
 */
import { at, concat, headOf, map, mapVectors, nd, stack, type NdArray } from './array.ts';
import { silu } from './blocks.ts';
import {
  projectHeads,
  projectOutput,
  setting,
  type CellOracle,
  type CellState,
  type FlaConfig,
  type Parameters,
} from './cells.ts';
import type { Vector } from './recurrence.ts';

const dot = (a: Vector, b: Vector): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0);

/**
 * Σ_{j ≤ i} κ(q_i, k_j) v_j / (Σ_{j ≤ i} κ(q_i, k_j) + ε) of one head: q [T, D], k [before + T, D], v [before
 * + T, dv].
 */
function readHead(
  q: NdArray,
  k: NdArray,
  v: NdArray,
  kernel: (q: Vector, k: Vector) => number,
  epsilon: number,
): NdArray {
  const before = k.shape[0]! - q.shape[0]!;
  const read = (i: number): NdArray => {
    const weights = Array.from({ length: before + i + 1 }, (_, j) => kernel(at(q, i).data, at(k, j).data));
    const sum = weights.reduce((total, weight) => total + weight, epsilon);
    return map(at(v, 0), (_, c) => weights.reduce((total, w, j) => total + w * at(v, j).data[c]!, 0) / sum);
  };
  return stack(Array.from({ length: q.shape[0]! }, (_, i) => read(i)));
}

function scanKernel(
  parameters: Parameters,
  heads: number,
  x: NdArray,
  state: CellState | undefined,
  options: {
    readonly map: (x: NdArray) => NdArray;
    readonly kernel: (q: Vector, k: Vector) => number;
    readonly epsilon: number;
  },
): { o: NdArray; state: CellState } {
  const activation = parameters['q_conv1d.weight'] ? silu : (value: number): number => value;
  const q = projectHeads(parameters, 'q', x, heads, state, activation);
  const k = projectHeads(parameters, 'k', x, heads, state, activation);
  const v = projectHeads(parameters, 'v', x, heads, state, activation);
  const queries = options.map(q.heads);
  const past = state?.more ?? {};
  const keys = concat([...(past['keys'] ? [past['keys']] : []), options.map(k.heads)]);
  const values = concat([...(past['values'] ? [past['values']] : []), v.heads]);
  const outputs = Array.from({ length: heads }, (_, h) =>
    readHead(headOf(queries, h), headOf(keys, h), headOf(values, h), options.kernel, options.epsilon),
  );
  const tokens = x.shape[0]!;
  const o = stack(Array.from({ length: tokens }, (_, t) => stack(outputs.map((output) => at(output, t)))));
  return {
    o,
    state: {
      recurrent: nd([0]),
      windows: { ...q.window, ...k.window, ...v.window },
      position: (state?.position ?? 0) + tokens,
      more: { keys, values },
    },
  };
}

const readout = (parameters: Parameters, _: FlaConfig, o: NdArray): NdArray => projectOutput(parameters, o);

/** κ = 1 + s + s²/2, s = q·k/√D. */
export const based: CellOracle = {
  perMemory: ['k_proj', 'v_proj'],
  scan: (parameters, config, x, state) =>
    scanKernel(parameters, setting(config, 'num_heads', 12), x, state, {
      map: (vectors) => vectors,
      kernel: (q, k) => {
        const s = dot(q, k) / Math.sqrt(q.length);
        return 1 + s + (s * s) / 2;
      },
      epsilon: setting(config, 'eps', 1e-12),
    }),
  readout,
};

/** κ = (q̂·k̂)²/D, x̂ = γ ⊙ LayerNorm(x) + β. */
export const rebased: CellOracle = {
  perMemory: ['k_proj', 'v_proj'],
  scan: (parameters, config, x, state) => {
    const [gamma, beta] = [parameters['feature_map.gamma'], parameters['feature_map.beta']];
    const normalise = setting(config, 'normalize', true);
    return scanKernel(parameters, setting(config, 'num_heads', 16), x, state, {
      map: (vectors) =>
        mapVectors(vectors, (vector) =>
          (normalise ? layerNorm(vector, setting(config, 'norm_eps', 1e-5)) : vector).map(
            (value, i) => value * (gamma?.data[i] ?? 1) + (beta?.data[i] ?? 0),
          ),
        ),
      kernel: (q, k) => dot(q, k) ** 2 / q.length,
      epsilon: setting(config, 'eps', 1e-5),
    });
  },
  readout,
};

function layerNorm(x: Vector, epsilon: number): Vector {
  const mean =
    dot(
      x,
      x.map(() => 1),
    ) / x.length;
  const centred = x.map((value) => value - mean);
  return centred.map((value) => value / Math.sqrt(dot(centred, centred) / x.length + epsilon));
}
