// The module that brings the operands of products on matrix units to f16, each row times a power of two of its own.
import { subgroupsHeading, SUBGROUP, times } from '../gpu/matrix-units.ts';

/** What rows are padded to a multiple of, so that slices along them are whole. */
export const PACKED_WIDTH = 32;
const INVOCATIONS = 256;
/** Rows that a workgroup has in hand. */
export const PACK_ROWS = INVOCATIONS / SUBGROUP;
/** The largest magnitude of a packed row is just below 2 to this, so that there is room on both sides for other powers of two. */
export const ROW_EXPONENT = 5;
/** The least scale is 2 to this: the product of two, moved up by products, is still a normal number. */
const LEAST_EXPONENT = -40;
/** What a subgroup moves at once: a vector of 4 each. */
const STEP = 4 * SUBGROUP;
/** Steps of a row that stays in registers; a longer one is read again. */
const MOST_HELD = 16;
export const MOST_HELD_WIDTH = MOST_HELD * STEP;

/** Where rows come from: they go behind those of the sources before it of the same matrix. */
export interface Source {
  /** The number of the matrix. */
  readonly matrix: number;
  /** Of its rows in each tensor that they lie in, side by side. */
  readonly widths: readonly number[];
}

/**
 * Brings matrices to f16: each row times a power of two of its own, and padded with zeros. A subgroup has a row in hand; the
 * workgroup chooses the source. Its buffers are the tensors of the sources, `packed` of each matrix and `scales` of each; its uniforms of
 * each source are its workgroups, its rows, its place behind the first row of the matrix, and its width.
 */
export function packRowsWgsl(sources: readonly Source[]): string {
  const tensors = sources.flatMap(({ widths }, i) =>
    widths.map((width, t) => [`source${i}_${t}`, width % 4 === 0 ? 'vec4f' : 'f32'] as const),
  );
  const count = tensors.length;
  const matrices = Array.from(new Set(sources.map(({ matrix }) => matrix)));
  const buffer = (binding: number, name: string, element: string): string =>
    `@group(0) @binding(${binding}) var<storage, read_write> ${name}: array<${element}>;`;
  return `${subgroupsHeading}

struct Sizes { ${sources.map((_, i) => `groups${i}: u32, rows${i}: u32, start${i}: u32, width${i}: u32,`).join(' ')} }
@group(0) @binding(${count + 2 * matrices.length}) var<uniform> sizes: Sizes;
${matrices.map((matrix) => buffer(count + matrix, `packed${matrix}`, 'vec2u')).join('\n')}
${matrices.map((matrix) => buffer(count + matrices.length + matrix, `scales${matrix}`, 'f32')).join('\n')}

/** Of a row's scale, by magnitudes in all lanes: the largest is below 2^${ROW_EXPONENT} times it. Powers of two change no digit. */
fn exponentOf(found: vec4f) -> i32 {
  let largest = subgroupMax(max(max(found.x, found.y), max(found.z, found.w)));
  let exponent = clamp(frexp(largest).exp - ${ROW_EXPONENT}, ${LEAST_EXPONENT}, 126);
  // Rows of zeros are not to be the largest of any.
  return select(exponent, ${LEAST_EXPONENT}, largest == 0);
}
${tensors.map(([name, element], i) => `@group(0) @binding(${i}) var<storage, read> ${name}: array<${element}>;`).join('\n')}
${sources.map(sourceWgsl).join('\n')}

@compute @workgroup_size(${INVOCATIONS})
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  // Counted from each source's first; behind its last one it wraps around to very large numbers.
  var own = group.x;
${sources
  .map(
    (_, i) => `  if (own < sizes.groups${i}) {
    pack${i}(own * ${PACK_ROWS} + local / ${SUBGROUP}, sizes.groups${i} * ${PACK_ROWS}, local % ${SUBGROUP});
  }
  own -= sizes.groups${i};`,
  )
  .join('\n')}
}`;
}

function sourceWgsl({ matrix, widths }: Source, i: number): string {
  const width = widths.reduce((a, b) => a + b, 0);
  const steps = Math.ceil(width / STEP);
  const isHeld = steps <= MOST_HELD;
  const columnOf = (step: number | string): string => `(4 * lane + ${STEP} * ${step})`;
  const look = (values: string): string => `found = max(found, abs(${values}));`;
  const keep = (values: string, column: string): string => `if (${column} < paddedWidth) {
      let values = factor * ${values};
      packed${matrix}[((sizes.start${i} + row) * paddedWidth + ${column}) / 4] = vec2u(pack2x16float(values.xy), pack2x16float(values.zw));
    }`;
  const eachStep = (line: (step: number | string) => string): string =>
    isHeld
      ? times(steps, line)
      : `for (var step = 0u; step < (width + ${STEP - 1}) / ${STEP}; step++) { ${line('step')} }`;
  const valuesAt = (step: number | string): string =>
    `select(vec4f(), ${fourWgsl(widths, i, columnOf(step), step)}, ${columnOf(step)} + vec4u(0, 1, 2, 3) < vec4u(width))`;
  const valuesOf = (step: number | string): string => (isHeld ? `values${step}` : valuesAt(step));
  return `
fn pack${i}(first: u32, step: u32, lane: u32) {
  let width = sizes.width${i};
  let paddedWidth = (width + ${PACKED_WIDTH - 1}) / ${PACKED_WIDTH} * ${PACKED_WIDTH};
  for (var row = first; row < sizes.rows${i}; row += step) {
    ${isHeld ? eachStep((at) => `let values${at} = ${valuesAt(at)};`) : ''}
    var found = vec4f();
    ${eachStep((at) => look(valuesOf(at)))}
    let exponent = exponentOf(found);
    let factor = ldexp(1f, -exponent);
    if (lane == 0) {
      scales${matrix}[sizes.start${i} + row] = ldexp(1f, exponent);
    }
    ${eachStep((at) => keep(valuesOf(at), columnOf(at)))}
  }
}`;
}

/**
 * Four columns of a row, without a branch: reads would wait for one another. Behind the row lies the next, behind the last whatever a
 * device reads there. A step that reaches into several tensors reads all of them.
 */
function fourWgsl(widths: readonly number[], i: number, column: string, step: number | string): string {
  const starts = widths.map((_, t) => widths.slice(0, t).reduce((a, b) => a + b, 0));
  const isReached = (t: number): boolean => {
    const [start, end] = [starts[t] as number, (starts[t] as number) + (widths[t] as number)];
    return typeof step === 'string' || (start < STEP * (step + 1) && end > STEP * step);
  };
  const read = (t: number): string => {
    const [width, start] = [widths[t] as number, starts[t] as number];
    const at =
      widths.length === 1
        ? `row * width + ${column}`
        : `row * ${width} + max(${column}, ${start}) - ${start}`;
    const buffer = `source${i}_${t}`;
    return width % 4 === 0
      ? `${buffer}[(${at}) / 4]`
      : `vec4f(${[0, 1, 2, 3].map((c) => `${buffer}[${at} + ${c}]`).join(', ')})`;
  };
  const [first = 0, ...others] = widths.map((_, t) => t).filter(isReached);
  return others.reduce(
    (before, t) => `select(${before}, ${read(t)}, ${column} >= ${starts[t]})`,
    read(first),
  );
}
