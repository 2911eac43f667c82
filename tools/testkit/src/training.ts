/** Loss and optimiser in float64. */
import { nd, zipWith, type NdArray } from './array.ts';
import { softmax } from './blocks.ts';

/**
 * Mean cross-entropy in nats over the rows whose label is not `ignoreIndex`, and its gradient.
 * logits [N, V], labels N class numbers. All rows ignored: loss 0.
 */
export function crossEntropy(
  logits: NdArray,
  labels: ArrayLike<number>,
  ignoreIndex = -100,
): { loss: number; gradient: NdArray } {
  const [count = 0, classes = 0] = logits.shape;
  const counted = Array.from(labels).filter((label) => label !== ignoreIndex).length;
  const probabilities = softmax(logits);
  const gradient = nd(logits.shape);
  let loss = 0;
  for (let n = 0; n < count; n++) {
    const label = labels[n]!;
    if (label === ignoreIndex) continue;
    const row = logits.data.subarray(n * classes, (n + 1) * classes);
    const largest = Math.max(...row);
    // From the logits, not from ln p: p may underflow.
    loss +=
      (largest + Math.log(row.reduce((sum, x) => sum + Math.exp(x - largest), 0)) - row[label]!) / counted;
    for (let c = 0; c < classes; c++) {
      gradient.data[n * classes + c] =
        (probabilities.data[n * classes + c]! - (c === label ? 1 : 0)) / counted;
    }
  }
  return { loss, gradient };
}

/** AdamW's numbers for one parameter. */
export interface AdamWState {
  /** Steps taken. */
  readonly step: number;
  /** Running means of the gradient and of its square. */
  readonly mean: NdArray;
  readonly meanSquare: NdArray;
}

/** PyTorch's names in ours; the defaults are PyTorch's. */
export interface AdamWOptions {
  readonly learningRate?: number;
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  readonly weightDecay?: number;
}

/** One step of AdamW (Loshchilov & Hutter 2019, bias-corrected, decay decoupled), as PyTorch computes it. */
export function adamWStep(
  parameter: NdArray,
  gradient: NdArray,
  state: AdamWState | undefined,
  options: AdamWOptions = {},
): { parameter: NdArray; state: AdamWState } {
  const { learningRate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 1e-2 } = options;
  const before = state ?? { step: 0, mean: nd(parameter.shape), meanSquare: nd(parameter.shape) };
  const step = before.step + 1;
  const mean = zipWith(before.mean, gradient, (m, g) => beta1 * m + (1 - beta1) * g);
  const meanSquare = zipWith(before.meanSquare, gradient, (v, g) => beta2 * v + (1 - beta2) * g * g);
  const update = zipWith(mean, meanSquare, (m, v) => {
    const correctedMean = m / (1 - beta1 ** step);
    const correctedSquare = v / (1 - beta2 ** step);
    return correctedMean / (Math.sqrt(correctedSquare) + epsilon);
  });
  return {
    parameter: zipWith(parameter, update, (p, u) => p * (1 - learningRate * weightDecay) - learningRate * u),
    state: { step, mean, meanSquare },
  };
}
