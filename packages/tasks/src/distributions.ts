// Counting distributions, for the formulas of how far labels reach back.

/** ln n! for n = 0 … most. */
export function logFactorials(most: number): Float64Array {
  const logs = new Float64Array(most + 1);
  for (let n = 2; n <= most; n++) logs[n] = (logs[n - 1] as number) + Math.log(n);
  return logs;
}

/** Adds `share` to entry `at`. */
export function addTo(values: Float64Array, at: number, share: number): void {
  values[at] = (values[at] as number) + share;
}
