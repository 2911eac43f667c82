/**
 * Small blocks that layers share, in float64, each written from its definition. Vectors lie along the last
 * axis.
 */
import { linear, map, mapVectors, nd, reshape, zipWith, type NdArray } from './array.ts';

export const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
export const silu = (x: number): number => x * sigmoid(x);
/** ln(1 + e^x), without overflow. */
export const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

/** w ⊙ x (mean x² + ε)^{-1/2} along the last axis. x [..., n], weight [n] (ones if absent). */
export function rmsNorm(x: NdArray, weight: NdArray | undefined, epsilon = 1e-5): NdArray {
  return mapVectors(x, (vector) => {
    const meanSquare = vector.reduce((sum, value) => sum + value * value, 0) / vector.length;
    const factor = 1 / Math.sqrt(meanSquare + epsilon);
    return vector.map((value, i) => value * factor * (weight?.data[i] ?? 1));
  });
}

/**
 * RMSNorm(x)·w ⊙ act(gate): normalises first, gates after. x and gate have one shape [..., n], weight [n].
 */
export function gatedRmsNorm(
  x: NdArray,
  gate: NdArray,
  weight: NdArray | undefined,
  epsilon = 1e-5,
  activation: 'silu' | 'sigmoid' = 'silu',
): NdArray {
  const act = activation === 'silu' ? silu : sigmoid;
  return zipWith(rmsNorm(x, weight, epsilon), reshape(gate, x.shape), (value, z) => value * act(z));
}

/** x (Σx² + ε)^{-1/2} along the last axis, ε inside the root. */
export function l2Norm(x: NdArray, epsilon = 1e-6): NdArray {
  return mapVectors(x, (vector) => {
    const factor = 1 / Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0) + epsilon);
    return vector.map((value) => value * factor);
  });
}

/** x / (Σx + ε) along the last axis. */
export function sumNorm(x: NdArray, epsilon = 0): NdArray {
  return mapVectors(x, (vector) => {
    const sum = vector.reduce((total, value) => total + value, epsilon);
    return vector.map((value) => value / sum);
  });
}

/**
 * Depthwise causal convolution along one sequence: x [T, D], weight [D, 1, W] (last tap = current token),
 * bias [D].
 * `cache` [D, W] holds the last W raw inputs before x, zeros if absent; the returned cache those after x.
 */
export function shortConvolution(
  x: NdArray,
  weight: NdArray,
  options: { bias?: NdArray | undefined; cache?: NdArray | undefined; activation?: 'silu' | 'none' } = {},
): { y: NdArray; cache: NdArray } {
  const [tokens = 0, channels = 0] = x.shape;
  const width = weight.shape[2]!;
  const input = (c: number, t: number): number =>
    t >= 0 ? x.data[t * channels + c]! : t >= -width ? (options.cache?.data[c * width + width + t] ?? 0) : 0;
  const activation = options.activation === 'none' ? (value: number) => value : silu;
  const y = map(nd([tokens, channels]), (_, i) => {
    const [t, c] = [Math.floor(i / channels), i % channels];
    let sum = options.bias?.data[c] ?? 0;
    for (let w = 0; w < width; w++) sum += weight.data[c * width + w]! * input(c, t - width + 1 + w);
    return activation(sum);
  });
  const cache = map(nd([channels, width]), (_, i) =>
    input(Math.floor(i / width), tokens - width + (i % width)),
  );
  return { y, cache };
}

/**
 * Rotates the halves (x₁, x₂) of every head by position · base^{-2i/dk}. x [T, H, dk]; the first row is at
 * `position`.
 */
export function rotary(x: NdArray, position = 0, base = 10000): NdArray {
  const [, heads = 1, dk = 0] = x.shape;
  const half = dk / 2;
  return mapVectors(x, (vector, index) => {
    const t = position + Math.floor(index / heads);
    return vector.map((value, i) => {
      const angle = t * base ** ((-2 * (i % half)) / dk);
      const partner = i < half ? -vector[i + half]! : vector[i - half]!;
      return value * Math.cos(angle) + partner * Math.sin(angle);
    });
  });
}

/** Softmax along the last axis. */
export function softmax(x: NdArray): NdArray {
  return mapVectors(x, (vector) => {
    const largest = Math.max(...vector);
    const powers = vector.map((value) => Math.exp(value - largest));
    const sum = powers.reduce((total, value) => total + value, 0);
    return powers.map((value) => value / sum);
  });
}

/** Where each token goes and with which weight. */
export interface Routing {
  /** Softmax over all memories [T, M]. */
  readonly probabilities: NdArray;
  /** [T, K]: memory numbers, most probable first, the lower number first among equals. */
  readonly selected: NdArray;
  /** [T, K]: probabilities of the chosen, divided by their sum. */
  readonly weights: NdArray;
}

/** Softmax over the memories, the `topK` largest kept and renormalised. logits [T, M]. */
export function topKRouter(logits: NdArray, topK: number): Routing {
  const ranked = (vector: Float64Array): number[] =>
    Array.from(vector.keys()).sort((a, b) => vector[b]! - vector[a]! || a - b);
  const selected = mapVectors(logits, (vector) => ranked(vector).slice(0, topK), topK);
  const probabilities = softmax(logits);
  const memories = logits.shape[1]!;
  const chosen = map(selected, (m, i) => probabilities.data[Math.floor(i / topK) * memories + m]!);
  return { probabilities, selected, weights: sumNorm(chosen) };
}

/** −e^{A_log} softplus(a + dt_bias): a [..., H], aLog and dtBias [H]. */
export function mambaLogDecay(a: NdArray, aLog: NdArray, dtBias: NdArray): NdArray {
  return mapVectors(a, (vector) =>
    vector.map((value, h) => -Math.exp(aLog.data[h]!) * softplus(value + dtBias.data[h]!)),
  );
}

/** ln σ(f) / normaliser (GLA: 16). */
export function logSigmoidLogDecay(f: NdArray, normaliser = 16): NdArray {
  return map(f, (value) => -softplus(-value) / normaliser);
}

/**
 * lowerBound · σ(e^{A_log} (f + dt_bias)), lowerBound < 0 (KDA's safe gate): f, aLog, dtBias of one shape
 * [H].
 */
export function boundedLogDecay(f: NdArray, aLog: NdArray, dtBias: NdArray, lowerBound = -5): NdArray {
  return mapVectors(f, (vector) =>
    vector.map((value, h) => lowerBound * sigmoid(Math.exp(aLog.data[h]!) * (value + dtBias.data[h]!))),
  );
}

/** down(silu(gate(x)) ⊙ up(x)): x [..., d], gate and up [I, d], down [d, I]. */
export function swiGlu(x: NdArray, weights: { gate: NdArray; up: NdArray; down: NdArray }): NdArray {
  return linear(
    zipWith(linear(x, weights.gate), linear(x, weights.up), (gate, up) => silu(gate) * up),
    weights.down,
  );
}
