// Which tokens of a recall batch a perfect memory would keep: what an oracle of memory policies is told.
import { IGNORE, type Batch } from '@mnemix/tasks';

/**
 * 1 for every value that is asked for later on, at the place where it first stands behind its key; 0 elsewhere, [size · tokens].
 */
export function valueMarks({ inputs, targets, size, tokens }: Batch): Float32Array {
  const marks = new Float32Array(size * tokens);
  for (let first = 0; first < size * tokens; first += tokens) {
    const row = inputs.subarray(first, first + tokens);
    for (let query = 0; query < tokens; query++) {
      const value = targets[first + query] as number;
      if (value === IGNORE) continue;
      const key = row[query] as number;
      const at = row.findIndex((token, i) => token === key && row[i + 1] === value);
      if (at >= 0 && at < query) marks[first + at + 1] = 1;
    }
  }
  return marks;
}
