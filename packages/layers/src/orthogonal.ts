// Orthogonal matrices to start from (Saxe, McClelland & Ganguli 2014): they keep lengths.
import { tensor2d, type Rng, type Tensor2D } from '@mnemix/tensor';

/**
 * Weights [out, in] whose columns, or rows where there are fewer of them, are orthogonal and `gain` long;
 * uniform over all such matrices. Takes in·out·min(in, out) multiply-adds, in float64 on the host.
 */
export function initOrthogonal(rng: Rng, inWidth: number, outWidth: number, gain = 1): { weight: Tensor2D } {
  const [count, length] = [Math.min(inWidth, outWidth), Math.max(inWidth, outWidth)];
  const vectors = orthonormal(rng.normalArray(count * length), count, length);
  const areColumns = outWidth > inWidth;
  const weight = Float32Array.from({ length: count * length }, (_, entry) => {
    const [row, column] = [Math.floor(entry / inWidth), entry % inWidth];
    const [vector, place] = areColumns ? [column, row] : [row, column];
    return gain * ((vectors[vector] as Float64Array)[place] as number);
  });
  return { weight: tensor2d(weight, [outWidth, inWidth]) };
}

/** Modified Gram–Schmidt: each vector loses what it shares with those before it, then gets length 1. */
function orthonormal(values: Float64Array, count: number, length: number): Float64Array[] {
  const vectors = Array.from({ length: count }, (_, i) => values.subarray(i * length, (i + 1) * length));
  vectors.forEach((vector, i) => {
    for (const earlier of vectors.slice(0, i)) {
      const shared = dot(vector, earlier);
      for (let c = 0; c < length; c++) vector[c] = (vector[c] as number) - shared * (earlier[c] as number);
    }
    const scale = 1 / Math.sqrt(dot(vector, vector));
    for (let c = 0; c < length; c++) vector[c] = scale * (vector[c] as number);
  });
  return vectors;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let c = 0; c < a.length; c++) sum += (a[c] as number) * (b[c] as number);
  return sum;
}
