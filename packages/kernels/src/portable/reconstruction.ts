// The inner loss of test-time training: how far the answer z of a memory to a key is from its target t = v −
// k,
//
//     ℓ(z) = ½‖w ⊙ x̂ + b − t‖²        x̂ = (z − mean z) / √(var z + ε)
//
// with its first and second derivatives. Let r = 1/√(var z + ε), and L the derivative of x̂, a symmetric map:
// L(y) = r (y − mean y − x̂ mean(x̂⊙y)). With the error e = w²⊙x̂ + w⊙(b − t),
//
//     G = ∂ℓ/∂z = L(e)
//     ∂²ℓ/∂z² g = L(w²⊙L(g)) − r (G mean(x̂⊙g) + L(g) mean(e⊙x̂) + x̂ mean(G⊙g))
import { add, mean, mul, rsqrt, square, sub, type Tensor } from '@mnemix/tensor';

/** Everything that the loss of each token depends on but z. */
export interface InnerLoss {
  /** w² of each scan, [P, 1, D]. */
  readonly squaredWeight: Tensor;
  /** w⊙(b − t) of each token, [P, C, D]. */
  readonly offset: Tensor;
  /** ε. */
  readonly eps: number;
}

/** The loss around some z. */
export interface InnerPoint {
  /** x̂ [P, C, D]. */
  readonly normalised: Tensor;
  /** r [P, C, 1]. */
  readonly inverseDeviation: Tensor;
  /** mean(e⊙x̂) [P, C, 1]. */
  readonly slope: Tensor;
  /** G [P, C, D]. */
  readonly gradient: Tensor;
}

const channelMean = (x: Tensor): Tensor => mean(x, 2, true);

/** @param z [P, C, D] */
export function innerPoint(z: Tensor, { squaredWeight, offset, eps }: InnerLoss): InnerPoint {
  const centred = sub(z, channelMean(z));
  const inverseDeviation = rsqrt(add(channelMean(square(centred)), eps));
  const normalised = mul(centred, inverseDeviation);
  const error = add(mul(normalised, squaredWeight), offset);
  const slope = channelMean(mul(error, normalised));
  const direction = sub(sub(error, channelMean(error)), mul(normalised, slope));
  return { normalised, inverseDeviation, slope, gradient: mul(direction, inverseDeviation) };
}

/**
 * The gradients of ⟨g, G⟩.
 *
 * @param dGradient g [P, C, D]
 * @returns dOffset = L(g), and dZ
 */
export function innerPullBack(
  { normalised, inverseDeviation, slope, gradient }: InnerPoint,
  squaredWeight: Tensor,
  dGradient: Tensor,
): { dZ: Tensor; dOffset: Tensor } {
  const along = channelMean(mul(normalised, dGradient));
  const pulled = sub(sub(dGradient, channelMean(dGradient)), mul(normalised, along));
  const dOffset = mul(pulled, inverseDeviation);
  const dNormalised = mul(dOffset, squaredWeight);
  const both = channelMean(add(mul(normalised, dNormalised), mul(gradient, dGradient)));
  const direction = sub(sub(dNormalised, channelMean(dNormalised)), mul(normalised, both));
  const bySlope = add(mul(gradient, along), mul(dOffset, slope));
  return { dZ: mul(sub(direction, bySlope), inverseDeviation), dOffset };
}
