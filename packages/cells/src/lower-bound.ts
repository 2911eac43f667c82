// Decay gates that a lower bound keeps open (Qin et al. 2024, "HGRN2", §3.1): a parameter of the whole model,
// by which deeper layers forget more slowly, and the gate that it bounds.
import type { SharedParameter } from '@mnemix/layers';
import {
  abs,
  add,
  defineOp,
  div,
  exp,
  greater,
  less,
  log,
  log1p,
  logSigmoid,
  maximum,
  minimum,
  mul,
  neg,
  sigmoid,
  slice,
  softmax,
  softplus,
  sub,
  sum,
  transpose,
  where,
  zeros,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
} from '@mnemix/tensor';

/**
 * Bounds ℓ of every layer's gates in one parameter [layers, channels]: what softmax over the layers gives to
 * the layers 1 … layer, ℓ_layer = Σ_{1 ≤ i ≤ layer} softmax(parameter)_i. The first layer's is 0, and all are
 * below 1.
 */
export const lowerBounds = (channels: number): SharedParameter => ({
  init: (layers) => zeros([layers, channels]),
  part: (parameter, layer) => {
    if (layer === 0) return zeros([channels]);
    const shares = softmax(transpose(parameter));
    // Rounding must not carry the sum beyond 1.
    return minimum(sum(slice(shares, [0, 1], [channels, layer]), 1), 1);
  },
});

type Gate = { logDecay: Tensor; opposite: Tensor };
type GateInputs = { f: Tensor; bound: Tensor };

/**
 * Smallest divisor of a derivative with respect to a bound: what it divides stays finite, and so does its sum
 * over rows.
 */
const LEAST_DIVISOR = 1e-30;

const gateOp = defineOp<GateInputs, Gate, object>({
  name: 'LowerBoundedGate',
  outputs: ['logDecay', 'opposite'],
  portable: ({ f, bound }) => {
    const opposite = mul(sub(1, bound), sigmoid(neg(f)));
    // Three forms of one number, each where it does not cancel: without a bound; near 1; and ln(e^f + ℓ) − ln(1 + e^f).
    const unbounded = logSigmoid(f);
    const open = log1p(neg(opposite));
    const logBound = log(maximum(bound, LEAST_DIVISOR));
    const logSum = add(maximum(f, logBound), log1p(exp(neg(abs(sub(f, logBound))))));
    const closed = sub(logSum, softplus(f));
    const bounded = where(less(opposite, 0.5), open, closed);
    return { logDecay: where(greater(bound, 0), bounded, unbounded), opposite };
  },
  gradient: ({ inputs: { f, bound }, grads: { logDecay: dLogDecay, opposite: dOpposite } }) => {
    const closing = sigmoid(neg(f));
    const opposite = mul(sub(1, bound), closing);
    const power = exp(minimum(maximum(f, Math.log(LEAST_DIVISOR)), -Math.log(LEAST_DIVISOR)));
    const total = add(power, bound);
    return {
      f: mul(opposite, sub(mul(dLogDecay, div(power, total)), mul(dOpposite, sigmoid(f)))),
      bound: sum(sub(div(dLogDecay, total), mul(dOpposite, closing)), 0),
    };
  },
});

/**
 * The gate p = ℓ + (1−ℓ)σ(f) as its logarithm, and its opposite 1 − p = (1−ℓ)σ(−f), neither by way of p: both
 * keep their digits wherever the gate is. A bound of 0 is exactly none.
 *
 * Gradients, with r = e^f/(e^f + ℓ): ∂ln p/∂f = r(1 − p) and ∂ln p/∂ℓ = 1/(e^f + ℓ); those of the opposite are
 * −σ(f)(1 − p) and −σ(−f).
 *
 * @param f [N, D], any real numbers
 * @param bound ℓ [D], 0 to 1; none if left out
 * @returns logDecay = ln p and opposite = 1 − p, both [N, D]
 */
export function boundedGate(f: Tensor2D, bound?: Tensor1D): { logDecay: Tensor2D; opposite: Tensor2D } {
  const gate = bound ? gateOp({ f, bound }, {}) : { logDecay: logSigmoid(f), opposite: sigmoid(neg(f)) };
  return gate as { logDecay: Tensor2D; opposite: Tensor2D };
}
