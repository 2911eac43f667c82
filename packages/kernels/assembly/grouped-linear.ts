// One linear map per group of rows. Group m has the `lengths[m]` rows from `starts[m]` on, and the m-th
// matrix.
import { linear, linearBackward } from './linear';
import { coversRows } from './tiles';

/** weight [groups, outputs, inputs], bias [groups, outputs] or 0; scratch as for `linear`. */
export function groupedLinear(
  x: usize, weight: usize, bias: usize, starts: usize, lengths: usize, y: usize, scratch: usize,
  groups: i32, rows: i32, inputs: i32, outputs: i32,
): void {
  const inBytes = usize(inputs) << 2, outBytes = usize(outputs) << 2;
  if (!coversRows(lengths, groups, rows)) memory.fill(y, 0, usize(rows) * outBytes);
  for (let m = 0; m < groups; m++, starts += 4, lengths += 4, weight += outBytes * inputs) {
    const start = usize(load<i32>(starts)), length = load<i32>(lengths);
    if (length > 0) {
      linear(x + start * inBytes, weight, bias, y + start * outBytes, scratch, length, inputs, outputs);
    }
    if (bias) bias += outBytes;
  }
}

/** Scratch as for `linearBackward`. */
export function groupedLinearBackward(
  x: usize, weight: usize, starts: usize, lengths: usize, dy: usize,
  dx: usize, dWeight: usize, dBias: usize, scratch: usize,
  groups: i32, rows: i32, inputs: i32, outputs: i32,
): void {
  const inBytes = usize(inputs) << 2, outBytes = usize(outputs) << 2, matrixBytes = outBytes * inputs;
  if (!coversRows(lengths, groups, rows)) memory.fill(dx, 0, usize(rows) * inBytes);
  for (let m = 0; m < groups; m++, starts += 4, lengths += 4) {
    const start = usize(load<i32>(starts));
    linearBackward(
      x + start * inBytes, weight, dy + start * outBytes, dx + start * inBytes, dWeight, dBias, scratch,
      load<i32>(lengths), inputs, outputs,
    );
    weight += matrixBytes;
    dWeight += matrixBytes;
    dBias += outBytes;
  }
}
