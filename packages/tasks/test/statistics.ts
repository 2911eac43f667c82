// What the distribution tests share.

/** Pearson's χ² of counts against probabilities, in standard deviations above its mean: beyond 4 is no accident. */
export function surprise(counts: ArrayLike<number>, probabilities: ArrayLike<number>): number {
  const total = Array.from(counts).reduce((a, b) => a + b, 0);
  let chiSquare = 0;
  for (let i = 0; i < counts.length; i++) {
    const expected = total * (probabilities[i] as number);
    chiSquare += ((counts[i] as number) - expected) ** 2 / expected;
  }
  const freedom = counts.length - 1;
  return (chiSquare - freedom) / Math.sqrt(2 * freedom);
}

export const uniform = (size: number): number[] => Array<number>(size).fill(1 / size);
