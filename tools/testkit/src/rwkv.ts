/** What RWKV-6 and RWKV-7 have in common, in float64: token shift, low-rank maps, GroupNorm. */
import { concat, linear, map, mapVectors, nd, reshape, rows, zipWith, type NdArray } from './array.ts';
import { shortConvolution, silu } from './blocks.ts';
import { parameter, type CellState, type Parameters } from './cells.ts';

/** Tokens and what came before each of them, [T, d]; `last` is what the next call needs of this one. */
export interface ShiftedTokens {
  readonly x: NdArray;
  readonly before: NdArray;
  readonly last: NdArray;
}

/** x [T, d], continuing from the state's last token if there is one. */
export function shiftTokens(x: NdArray, state: CellState | undefined): ShiftedTokens {
  const [tokens = 0, width = 0] = x.shape;
  const first = reshape(state?.more?.['last'] ?? nd([width]), [1, width]);
  return {
    x,
    before: concat([first, rows(x, 0, tokens - 1)]),
    last: reshape(rows(x, tokens - 1, tokens), [width]),
  };
}

/** (1 − μ) x_t + μ x_{t−1}: μ of one token [d] for all, or [T, d]. */
export function mixTokens({ x, before }: ShiftedTokens, mu: NdArray): NdArray {
  return map(x, (value, i) => {
    const weight = mu.data[i % mu.data.length]!;
    return (1 - weight) * value + weight * before.data[i]!;
  });
}

/** W₂ φ(W₁ x) + b with the parameters `<name>.lora.0` and `<name>.lora.2`. */
export function lowRank(
  parameters: Parameters,
  name: string,
  x: NdArray,
  phi: (value: number) => number,
): NdArray {
  const low = map(linear(x, parameter(parameters, `${name}.lora.0.weight`)), phi);
  return linear(low, parameter(parameters, `${name}.lora.2.weight`), parameters[`${name}.lora.2.bias`]);
}

/** `<name>_conv1d` with silu along the sequence, if the layer has one. x [T, D]. */
export function convolve(
  parameters: Parameters,
  name: string,
  x: NdArray,
  state: CellState | undefined,
): { y: NdArray; window: Record<string, NdArray> } {
  const weight = parameters[`${name}_conv1d.weight`];
  if (weight === undefined) return { y: x, window: {} };
  const { y, cache } = shortConvolution(x, weight, { cache: state?.windows[name] });
  return { y, window: { [name]: cache } };
}

/** (x − mean)/√(var + ε) of each head, then weight and bias [H·D] of `g_norm`: x [T, H, D]. */
export function groupNorm(parameters: Parameters, x: NdArray, epsilon: number): NdArray {
  const weight = parameter(parameters, 'g_norm.weight').data;
  const bias = parameter(parameters, 'g_norm.bias').data;
  const normed = mapVectors(x, (vector) => {
    const mean = vector.reduce((sum, value) => sum + value, 0) / vector.length;
    const variance = vector.reduce((sum, value) => sum + (value - mean) ** 2, 0) / vector.length;
    return vector.map((value) => (value - mean) / Math.sqrt(variance + epsilon));
  });
  return map(normed, (value, i) => value * weight[i % weight.length]! + bias[i % bias.length]!);
}

/** The parts of o's last axis, equally wide: [T, H, n·D] → n times [T, H, D]. */
export function splitHeads(o: NdArray, parts: number): NdArray[] {
  const width = o.shape.at(-1)! / parts;
  return Array.from({ length: parts }, (_, n) =>
    mapVectors(o, (vector) => vector.subarray(n * width, (n + 1) * width), width),
  );
}

/** The inverse of {@link splitHeads}. */
export function besideHeads(parts: readonly NdArray[]): NdArray {
  const width = parts[0]!.shape.at(-1)!;
  return mapVectors(
    parts[0]!,
    (_, index) => parts.flatMap(({ data }) => [...data.subarray(index * width, (index + 1) * width)]),
    width * parts.length,
  );
}

/** silu(gate) ⊙ x, both of one shape. */
export const siluGate = (x: NdArray, gate: NdArray): NdArray =>
  zipWith(x, gate, (value, z) => value * silu(z));
