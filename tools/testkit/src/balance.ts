/** Load-balancing losses of MoM, unscaled. Both are K when the memories share the tokens evenly. */
import { mapVectors, type NdArray } from './array.ts';
import { softmax, topKRouter } from './blocks.ts';

/**
 * M · Σ_e F_e P_e over all rows at once: F_e the mean number of choices of e, P_e the mean of its
 * probability. routerLogits [N, M]: rows of all layers and sequences together; `mask` N numbers, 0 leaves a
 * row out.
 */
export function pooledBalanceLoss(routerLogits: NdArray, topK: number, mask?: ArrayLike<number>): number {
  return switchLoss(routerLogits, softmax(routerLogits), topK, mask);
}

/**
 * Mean over layers and sequences of M · Σ_e f_e P_e, where P is a softmax over the chosen logits only.
 * `layers[l][b]` [T, M]; `masks[b]` T numbers.
 */
export function layerWiseBalanceLoss(
  layers: readonly (readonly NdArray[])[],
  topK: number,
  masks?: readonly ArrayLike<number>[],
): number {
  const losses = layers.flatMap((sequences) =>
    sequences.map((logits, b) => {
      const { selected } = topKRouter(logits, topK);
      const restricted = mapVectors(logits, (vector, t) => {
        const chosen = selected.data.subarray(t * topK, (t + 1) * topK);
        return vector.map((value, m) => (chosen.includes(m) ? value : -Infinity));
      });
      return switchLoss(logits, softmax(restricted), topK, masks?.[b]);
    }),
  );
  return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
}

function switchLoss(logits: NdArray, probabilities: NdArray, topK: number, mask?: ArrayLike<number>): number {
  const [count = 0, memories = 0] = logits.shape;
  const { selected } = topKRouter(logits, topK);
  const frequency = new Float64Array(memories);
  const probability = new Float64Array(memories);
  let counted = 0;
  for (let n = 0; n < count; n++) {
    if (mask !== undefined && !mask[n]) continue;
    counted++;
    for (let j = 0; j < topK; j++) frequency[selected.data[n * topK + j]!]! += 1;
    for (let m = 0; m < memories; m++) probability[m]! += probabilities.data[n * memories + m]!;
  }
  return (memories * frequency.reduce((sum, f, m) => sum + f * probability[m]!, 0)) / counted ** 2;
}
