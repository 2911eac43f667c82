// Zeros in the rows of no sequence, which the stages that go by sequences leave as they are.
import { u32, type GpuDispatch } from '../kernel.ts';
import { read, stage, written } from './stage.ts';

/** Tensors of a dispatch, which binds `rowSequence` besides: every device has eight storage buffers. */
const MOST = 7;

interface Rows {
  readonly rows: number;
  /** Every row is in a sequence. */
  readonly isFull?: boolean | undefined;
}

/** 0 in the rows of no sequence of all tensors [rows, width], by their widths. */
export function clearRows({ rows, isFull }: Rows, widths: Readonly<Record<string, number>>): GpuDispatch[] {
  if (isFull) return [];
  const tensors = Object.entries(widths);
  return Array.from({ length: Math.ceil(tensors.length / MOST) }, (_, i) => {
    const own = tensors.slice(i * MOST, (i + 1) * MOST);
    return stage({
      name: `ClearRows of ${own.length}`,
      parts: [() => textOf(own.length)],
      bindings: {
        rowSequence: read('rowSequence', 'i32'),
        ...Object.fromEntries(own.map(([name], at) => [`x${at}`, written(name)])),
      },
      uniforms: [rows, ...own.map(([, width]) => width)].map(u32),
      constants: {},
      workgroups: [Math.min(rows, 4096)],
      aligned: false,
    });
  });
}

function textOf(count: number): string {
  const each = (line: (i: number) => string): string =>
    Array.from({ length: count }, (_, i) => line(i)).join('\n');
  return `
struct Uniforms {
  rows: u32,
${each((i) => `  width${i}: u32,`)}
}

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  for (var row = group.x; row < sizes.rows; row += groups.x) {
    if (rowSequence[row] < 0) {
${each(
  (i) => `      for (var c = local; c < sizes.width${i}; c += 64) {
        x${i}[row * sizes.width${i} + c] = 0;
      }`,
)}
    }
  }
}`;
}
