// Second stage of sums over rows: adds up what the workgroups of a first stage have left.
import { u32, type GpuDispatch } from './kernel.ts';
import { read, stage, written } from './scan/stage.ts';
import { spread } from './spread.ts';

/** How a workgroup is shared out: of many rows it has fewer columns, so that no invocation waits for row after row. */
const FEW_ROWS = { columns: 32, slots: 8 };
const MANY_ROWS = { columns: 8, slots: 32 };
const MANY = 64;

/** y [width] = the sum of the rows of x [rows, width]; the same bits for the same input. */
export const sumRows = (x: string, y: string, rows: number, width: number): GpuDispatch =>
  sumRowsApart(x, [[y, width]], rows);

/** The same for rows of several parts: the first columns of x go to the first output [width], the next to the second, … */
export function sumRowsApart(
  x: string,
  outputs: readonly (readonly [name: string, width: number])[],
  rows: number,
): GpuDispatch {
  const count = outputs.length;
  const widths = outputs.map(([, width]) => width);
  const width = widths.reduce((a, b) => a + b);
  const constants = rows < MANY ? FEW_ROWS : MANY_ROWS;
  return stage({
    name: count === 1 ? 'SumRows' : `SumRows to ${count}`,
    parts: [() => textOf(count)],
    bindings: {
      x: read(x),
      ...Object.fromEntries(outputs.map(([name], i) => [`y${i}`, written(name)])),
    },
    uniforms: [rows, width, ...widths].map(u32),
    constants,
    workgroups: spread(Math.ceil(width / constants.columns)),
    aligned: false,
  });
}

/**
 * A workgroup sums `columns` neighbouring columns; its `slots` rows of invocations stride over the rows and are then added up in a
 * fixed order, so that the same input always gives the same bits.
 */
function textOf(count: number): string {
  const each = (line: (i: number) => string): string =>
    Array.from({ length: count }, (_, i) => line(i)).join('\n');
  return `
override columns: u32;
override slots: u32;

struct Uniforms {
  rows: u32,
  width: u32,
${each((i) => `  width${i}: u32,`)}
}

var<workgroup> sums: array<f32, columns * slots>;

@compute @workgroup_size(columns, slots)
fn main(
  @builtin(local_invocation_id) local: vec3u,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  var column = (group.y * groups.x + group.x) * columns + local.x;
  var sum = 0f;
  if (column < sizes.width) {
    for (var row = local.y; row < sizes.rows; row += slots) {
      sum += x[row * sizes.width + column];
    }
  }
  sums[local.y * columns + local.x] = sum;
  workgroupBarrier();
  if (local.y > 0) {
    return;
  }
  for (var slot = 1u; slot < slots; slot++) {
    sum += sums[slot * columns + local.x];
  }
  // Counted from each output's first column; behind its last one it wraps around to very large numbers.
${each(
  (i) => `  if (column < sizes.width${i}) {
    y${i}[column] = sum;
  }
  column -= sizes.width${i};`,
)}
}`;
}
