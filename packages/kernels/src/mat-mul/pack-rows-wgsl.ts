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

/** Where rows come from: they go behind those of the sources before it of the same matrix. */
export interface Source {
  /** The number of the matrix. */
  readonly matrix: number;
  /** Of its rows. */
  readonly width: number;
}

/**
 * Brings matrices to f16: each row times a power of two of its own, and padded with zeros. A subgroup has a row in hand; the
 * workgroup chooses the source. Its buffers are the sources, `packed` of each matrix and `scales` of each; its uniforms of each source
 * are its workgroups, its rows, its place behind the first row of the matrix, and its width.
 */
export function packRowsWgsl(sources: readonly Source[]): string {
  const count = sources.length;
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

function sourceWgsl({ matrix, width }: Source, i: number): string {
  const isVector = width % 4 === 0;
  const steps = Math.ceil(width / STEP);
  const isHeld = steps <= MOST_HELD;
  /** Without a branch: reads would wait for one another. Behind the row lies the next, behind the last whatever a device reads there. */
  const valuesAt = (column: string): string =>
    `select(vec4f(), four${i}(start + ${column}), ${column} + vec4u(0, 1, 2, 3) < vec4u(width))`;
  const columnOf = (step: string): string => `(4 * lane + ${STEP} * ${step})`;
  const look = (values: string): string => `found = max(found, abs(${values}));`;
  const keep = (values: string, column: string): string => `if (${column} < paddedWidth) {
      let values = factor * ${values};
      packed${matrix}[((sizes.start${i} + row) * paddedWidth + ${column}) / 4] = vec2u(pack2x16float(values.xy), pack2x16float(values.zw));
    }`;
  const eachStep = (line: (step: string) => string): string =>
    isHeld
      ? times(steps, (step) => line(String(step)))
      : `for (var step = 0u; step < (width + ${STEP - 1}) / ${STEP}; step++) { ${line('step')} }`;
  const valuesOf = (step: string): string => (isHeld ? `values${step}` : valuesAt(columnOf(step)));
  return `
@group(0) @binding(${i}) var<storage, read> source${i}: array<${isVector ? 'vec4f' : 'f32'}>;

fn four${i}(at: u32) -> vec4f {
  return ${isVector ? `source${i}[at / 4]` : `vec4f(${[0, 1, 2, 3].map((c) => `source${i}[at + ${c}]`).join(', ')})`};
}

fn pack${i}(first: u32, step: u32, lane: u32) {
  let width = sizes.width${i};
  let paddedWidth = (width + ${PACKED_WIDTH - 1}) / ${PACKED_WIDTH} * ${PACKED_WIDTH};
  for (var row = first; row < sizes.rows${i}; row += step) {
    let start = row * width;
    ${isHeld ? eachStep((at) => `let values${at} = ${valuesAt(columnOf(at))};`) : ''}
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
