// Where the sums of products on matrix units go. They come from workgroup memory: it costs nothing to choose a tensor for each.
import { elementOf, putWgsl, type Buffer } from '../mat-mul/bindings.ts';

/** Where the outputs of maps go: y, or y0, y1, … of these widths. */
export type Widths = readonly number[] | undefined;

export const tensorsOfY = (widths: Widths): string[] => widths?.map((_, m) => `y${m}`) ?? ['y'];

/** The buffers of y, where a row of all is of vectors or not. */
export const buffersOfY = (widths: Widths, isVector: boolean): Buffer[] =>
  tensorsOfY(widths).map((name) => [name, elementOf(isVector)]);

/**
 * `put(row, column, value)`: up to four neighbouring columns of a row of y.
 *
 * @param isVector rows are of vectors, as they are where they lie in several tensors
 */
export function putRowsWgsl(isVector: boolean, widths: Widths): string {
  const starts = (widths ?? []).map((_, m) => (widths ?? []).slice(0, m).reduce((a, b) => a + b, 0));
  const puts = (widths ?? []).map(
    (width, m) => `  if (column < ${(starts[m] as number) + width}) {
    y${m}[(row * ${width} + column - ${starts[m]}) / 4] = value;
    return;
  }`,
  );
  return `
fn put(row: u32, column: u32, value: vec4f) {
${widths ? puts.join('\n') : `  ${putWgsl({ buffer: 'y', isVector, at: 'row * sizes.columns + column', left: 'sizes.columns - column' })}`}
}`;
}

/** `withBias(sum, column)`. */
export const biasWgsl = (hasBias: boolean): string => `
fn withBias(sum: vec4f, column: u32) -> vec4f {
  ${hasBias ? 'let at = ownGroup * sizes.columns + column; return sum + vec4f(bias[at], bias[at + 1], bias[at + 2], bias[at + 3]);' : 'return sum;'}
}`;
