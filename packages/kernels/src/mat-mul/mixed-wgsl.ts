// The module of the product on matrix units. Unlike the others it is written by code: see gpu/matrix-units.ts.
import { FRAGMENT, fragmentTypes, PADDING, SUBGROUP, times } from '../gpu/matrix-units.ts';
import type { MixedTile } from './mixed.ts';

/** Values of f16 that are moved at once. */
const CHUNK = 8;

/**
 * A workgroup makes a tile of y from slices of A and B, packed by pack.wgsl, that are `depth` deep: while its subgroups multiply
 * one slice out of workgroup memory, the next is in registers on its way there. Operands are f16, sums f32.
 *
 * What stands before this text: the bindings, startsOf, write.
 */
export function mixedWgsl({
  fragmentRows,
  fragmentColumns,
  subgroupRows,
  subgroupColumns,
  depth,
}: MixedTile): string {
  const invocations = SUBGROUP * subgroupRows * subgroupColumns;
  const tileRows = FRAGMENT * fragmentRows * subgroupRows;
  const tileColumns = FRAGMENT * fragmentColumns * subgroupColumns;
  const heldOf = (edge: number): number => (edge * depth) / CHUNK / invocations;
  const operands = [
    {
      name: 'A',
      axis: 'x',
      kind: 'Left',
      order: 'row_major',
      fragments: fragmentRows,
      held: heldOf(tileRows),
    },
    {
      name: 'B',
      axis: 'y',
      kind: 'Right',
      order: 'col_major',
      fragments: fragmentColumns,
      held: heldOf(tileColumns),
    },
  ];
  const stride = depth + PADDING;
  const chunks = depth / CHUNK;
  const sums = fragmentRows * fragmentColumns;

  const read = (inner: string): string =>
    operands
      .map(({ name, axis, held }) =>
        times(held, (h) => {
          const chunk = `(local + ${h * invocations})`;
          return `next${name}${h} = packed${name}[(start.${axis} + ${chunk} / ${chunks} * sizes.inner + ${inner}) / ${CHUNK} + ${chunk} % ${chunks}];`;
        }),
      )
      .join('\n');

  const put = operands
    .map(({ name, held }) =>
      times(held, (h) => {
        const chunk = `(local + ${h * invocations})`;
        return `{
      let at = ${chunk} / ${chunks} * ${stride} + ${chunk} % ${chunks} * ${CHUNK};
      let low = bitcast<vec4<f16>>(next${name}${h}.xy);
      let high = bitcast<vec4<f16>>(next${name}${h}.zw);
      ${times(CHUNK, (i) => `slice${name}[at + ${i}] = ${i < 4 ? 'low' : 'high'}.${'xyzw'[i % 4]};`)}
    }`;
      }),
    )
    .join('\n');

  const multiply = times(
    depth / FRAGMENT,
    (step) => `{
      ${operands
        .map(({ name, kind, order, fragments }) =>
          times(
            fragments,
            (i) =>
              `let of${name}${i} = subgroupMatrixLoad<${kind}, ${order}>(&slice${name}, (first${name} + ${FRAGMENT * i}) * ${stride} + ${FRAGMENT * step}, ${stride});`,
          ),
        )
        .join('\n')}
      ${times(fragmentRows, (i) =>
        times(fragmentColumns, (j) => {
          const sum = `sum${i * fragmentColumns + j}`;
          return `${sum} = subgroupMatrixMultiplyAccumulate(ofA${i}, ofB${j}, ${sum});`;
        }),
      )}
    }`,
  );

  const deliver = times(sums, (i) => {
    const [row, column] = [Math.floor(i / fragmentColumns), i % fragmentColumns];
    return `subgroupMatrixStore<row_major>(&results, ${FRAGMENT ** 2} * subgroup, sum${i}, ${FRAGMENT});
  workgroupBarrier();
  deliver(subgroup, lane, row0 + ${FRAGMENT * row}, column0 + ${FRAGMENT * column}, matrix, scale);
  workgroupBarrier();`;
  });

  return `${fragmentTypes}

var<workgroup> sliceA: array<f16, ${tileRows * stride}>;
var<workgroup> sliceB: array<f16, ${tileColumns * stride}>;
/** A fragment of sums for each subgroup, on its way to y. */
var<workgroup> results: array<f32, ${(FRAGMENT ** 2 * invocations) / SUBGROUP}>;

/** Takes a subgroup's fragment of sums from \`results\` to y. */
fn deliver(subgroup: u32, lane: u32, row0: u32, column0: u32, matrix: u32, scale: f32) {
  for (var vector = lane; vector < 64; vector += ${SUBGROUP}) {
    let row = row0 + vector / 4;
    let column = column0 + vector % 4 * 4;
    if (row < sizes.rows && column < sizes.columns) {
      let at = 256 * subgroup + 4 * vector;
      let sum = vec4f(results[at], results[at + 1], results[at + 2], results[at + 3]);
      write((matrix + row) * sizes.columns + column, column, sum * scale);
    }
  }
}

@compute @workgroup_size(${invocations})
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let subgroup = local / ${SUBGROUP};
  let lane = local % ${SUBGROUP};
  let firstA = subgroup / ${subgroupColumns} * ${FRAGMENT * fragmentRows};
  let firstB = subgroup % ${subgroupColumns} * ${FRAGMENT * fragmentColumns};
  let row0 = group.y * ${tileRows} + firstA;
  let column0 = group.x * ${tileColumns} + firstB;
  let inner0 = group.z / sizes.batches * sizes.splitDepth;
  let innerEnd = min(sizes.inner, inner0 + sizes.splitDepth);
  let start = startsOf(group.z % sizes.batches)
    + vec2u(group.y * ${tileRows}, group.x * ${tileColumns}) * sizes.inner;

  ${times(sums, (i) => `var sum${i}: Sums;`)}
  ${operands.map(({ name, held }) => times(held, (h) => `var next${name}${h}: vec4u;`)).join('\n')}
  ${read('inner0')}
  for (var inner = inner0; inner < innerEnd; inner += ${depth}) {
    ${put}
    workgroupBarrier();
    let following = inner + ${depth};
    if (following < innerEnd) {
      ${read('following')}
    }
    ${multiply}
    workgroupBarrier();
  }

  let scale = scales[0] * scales[1];
  let matrix = group.z * sizes.rows;
  ${deliver}
}`;
}
