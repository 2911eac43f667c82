/** Feature maps of linear attention, applied to each head's vector: x [..., dk]. */
import { linear, map, mapVectors, zipWith, type NdArray } from './array.ts';
import { softmax } from './blocks.ts';

export type FeatureMapName =
  | 'elementwise_product'
  | 'hedgehog'
  | 't2r'
  | 'dpfp'
  | 'elu'
  | 'relu'
  | 'identity';

/** elu(x) + 1. */
export const eluPlusOne = (x: number): number => (x > 0 ? x + 1 : Math.exp(x));
export const relu = (x: number): number => Math.max(x, 0);

/**
 * φ(x); `parameters` under fla's names inside the map: `layer1.weight`, `layer.bias`, …
 * Hedgehog doubles the width, DPFP multiplies it by 8 (ν = 4).
 */
export function featureMap(
  name: FeatureMapName,
  parameters: Readonly<Record<string, NdArray>>,
  x: NdArray,
): NdArray {
  const layer = (prefix: string): NdArray =>
    linear(x, parameters[`${prefix}.weight`]!, parameters[`${prefix}.bias`]);
  switch (name) {
    case 'elementwise_product':
      return zipWith(layer('layer1'), layer('layer2'), (a, b) => a * b);
    case 'hedgehog':
      return softmax(withNegated(map(layer('layer'), (y) => 2 * y)));
    case 't2r':
      return map(layer('layer'), relu);
    case 'dpfp':
      return rollProducts(withNegated(map(x, relu)));
    case 'elu':
      return map(x, eluPlusOne);
    case 'relu':
      return map(x, relu);
    case 'identity':
      return x;
  }
}

/** x → [x, −x]. For DPFP as in fla 0.5.2: [relu(x), −relu(x)], where its paper has [relu(x), relu(−x)]. */
function withNegated(x: NdArray): NdArray {
  return mapVectors(x, (vector) => [...vector, ...vector.map((value) => -value)], 2 * x.shape.at(-1)!);
}

/** Products of x with its rolls by 1, 2, 3 and 4 places, side by side. */
function rollProducts(x: NdArray): NdArray {
  const width = x.shape.at(-1)!;
  const shifts = [1, 2, 3, 4];
  return mapVectors(
    x,
    (vector) =>
      shifts.flatMap((shift) =>
        Array.from(vector, (value, i) => value * vector[(i - shift + width) % width]!),
      ),
    shifts.length * width,
  );
}
