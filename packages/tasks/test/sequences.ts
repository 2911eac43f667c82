import type { Batch } from '../src/index.ts';

/** The sequences of a batch, one by one. */
export const sequences = ({ inputs, targets, size, tokens }: Batch) =>
  Array.from({ length: size }, (_, row) => ({
    inputs: Array.from(inputs.subarray(row * tokens, (row + 1) * tokens)),
    targets: Array.from(targets.subarray(row * tokens, (row + 1) * tokens)),
  }));
