// Where the queries of the recall tasks stand: in slots of their own, drawn without replacement, soon ones more often.

/** Log-weights of `slots` slots, ln (g+1)^(a−1): the closer to the context, the likelier. */
export const slotLogWeights = (slots: number, exponent: number): Float64Array =>
  Float64Array.from({ length: slots }, (_, g) => (exponent - 1) * Math.log(g + 1));

/**
 * Probability that draw i takes slot g, for `draws` sequential draws without replacement: [draws · slots], exact up to
 * quadrature at about 1e-9.
 *
 * The draws are the order of arrival of independent exponential clocks with the slots' weights as rates. So slot g is
 * drawn as number i with probability ∫ p_g e^{−p_g t} · P(i other slots arrived by t) dt, the latter a Poisson-binomial
 * distribution. Cost O(slots² · √draws) times a few hundred.
 */
export function slotProbabilities(logWeights: Float64Array, draws: number): Float64Array {
  const weights = logWeights.map(Math.exp);
  const total = weights.reduce((a, b) => a + b, 0);
  const rates = weights.map((weight) => weight / total);
  const slowest = Math.min(...rates);
  const slots = rates.length;

  // t = exp(s − e^{−s}) makes the integrand fall off doubly exponentially on both sides, where the trapezoidal rule
  // converges exponentially. The i-th arrival is sharp to 1/√i in ln t, which sets the step.
  const step = Math.min(0.1, 0.5 / Math.sqrt(draws));
  const probabilities = new Float64Array(draws * slots);
  for (let s = -4; s < Math.log(40 / slowest); s += step) {
    const time = Math.exp(s - Math.exp(-s));
    const jacobian = time * (1 + Math.exp(-s));
    const pending = rates.map((rate) => Math.exp(-rate * time));
    const arrived = poissonBinomial(pending);
    rates.forEach((rate, g) => {
      const mass = step * jacobian * rate * (pending[g] as number);
      if (mass < 1e-18) return;
      const others = leaveOneOut(arrived, pending[g] as number, draws);
      for (let i = 0; i < draws; i++) {
        const at = i * slots + g;
        probabilities[at] = (probabilities[at] as number) + mass * (others[i] as number);
      }
    });
  }
  return probabilities;
}

/** Distribution of how many have arrived, when each is still pending with its own probability. */
function poissonBinomial(pending: Float64Array): Float64Array {
  const counts = new Float64Array(pending.length + 1);
  counts[0] = 1;
  pending.forEach((stay, seen) => {
    for (let k = seen + 1; k > 0; k--) {
      counts[k] = (counts[k] as number) * stay + (counts[k - 1] as number) * (1 - stay);
    }
    counts[0] = (counts[0] as number) * stay;
  });
  return counts;
}

/** The distribution without one member: `counts` divided by (stay + (1−stay)·x), from the end where that is stable. */
function leaveOneOut(counts: Float64Array, stay: number, needed: number): Float64Array {
  const size = counts.length - 1;
  const rest = new Float64Array(size);
  if (stay >= 0.5) {
    let previous = 0;
    for (let k = 0; k < Math.min(size, needed); k++) {
      previous = ((counts[k] as number) - (1 - stay) * previous) / stay;
      rest[k] = previous;
    }
  } else {
    let next = 0;
    for (let k = size - 1; k >= 0; k--) {
      next = ((counts[k + 1] as number) - stay * next) / (1 - stay);
      rest[k] = next;
    }
  }
  return rest;
}
