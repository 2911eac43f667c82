// How much of MQAR a sliding window alone can answer: the null line of every recall figure. What a model reaches
// above it, it owes to memory outside its window.
import { checkInteger } from './check.ts';
import { checkSegment, slotLogWeights, type MqarSegment } from './mqar.ts';

/**
 * Distribution of the distance from a key to its query: entry d is the probability that a query stands d tokens
 * after the key that it repeats, d = 0 … L−1. Exact, up to quadrature at about 1e-9; no sampling.
 *
 * Sequential draws without replacement are the order of arrival of independent exponential clocks with the slots'
 * weights as rates. So slot g is drawn as number i with probability ∫ p_g e^{−p_g t} · P(i other slots arrived
 * by t) dt, the latter a Poisson-binomial distribution.
 *
 * Cost O((L/2−P)² · √P) times a few hundred: milliseconds at L 256, a few seconds at L 2048.
 *
 * @param exponent a of the slots' weights, as in the task
 * @throws MnemixError `config` for sizes that MQAR refuses
 */
export function queryDistances(segment: MqarSegment, exponent = 0.01): Float64Array {
  checkSegment('queryDistances(segment)', segment);
  const { tokens, pairs } = segment;
  const weights = slotLogWeights(segment, exponent).map(Math.exp);
  const total = weights.reduce((a, b) => a + b, 0);
  const rates = weights.map((weight) => weight / total);
  const slowest = Math.min(...rates);

  // t = exp(s − e^{−s}) makes the integrand fall off doubly exponentially on both sides, where the trapezoidal rule
  // converges exponentially. The i-th arrival is sharp to 1/√i in ln t, which sets the step.
  const step = Math.min(0.1, 0.5 / Math.sqrt(pairs));
  const distances = new Float64Array(tokens);
  for (let s = -4; s < Math.log(40 / slowest); s += step) {
    const time = Math.exp(s - Math.exp(-s));
    const jacobian = time * (1 + Math.exp(-s));
    const pending = rates.map((rate) => Math.exp(-rate * time));
    const arrived = poissonBinomial(pending);
    rates.forEach((rate, g) => {
      const mass = (step * jacobian * rate * (pending[g] as number)) / pairs;
      if (mass < 1e-18) return;
      const others = leaveOneOut(arrived, pending[g] as number, pairs);
      for (let i = 0; i < pairs; i++) {
        const distance = 2 * (pairs + g - i);
        distances[distance] = (distances[distance] as number) + mass * (others[i] as number);
      }
    });
  }
  return distances;
}

/**
 * Highest accuracy of a model that sees only a window: the probability that the key stands at most `window` tokens
 * before its query, so that its value, one token later, is still inside.
 *
 * @param window tokens seen, the current one included; l stacked windows of w see l·(w−1) + 1
 * @throws MnemixError `config` for sizes that MQAR refuses, or a window that is not a positive integer
 */
export function windowCeiling(segment: MqarSegment, window: number, exponent = 0.01): number {
  checkInteger('windowCeiling(window)', window, 1);
  return queryDistances(segment, exponent)
    .subarray(0, window + 1)
    .reduce((a, b) => a + b, 0);
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
