// The module of the products on matrix units. It is written by code: see gpu/matrix-units.ts.
import { FRAGMENT, fragmentTypes, PADDING, SUBGROUP, times } from '../gpu/matrix-units.ts';
import { columnsOf, rowsOf, type MixedTile } from '../mat-mul/mixed.ts';
import { ROW_EXPONENT } from '../mat-mul/pack-rows-wgsl.ts';

/** Values of f16 that are moved at once. */
const CHUNK = 8;
/** What a row of the largest scale is moved up by, so that smaller ones keep their digits: f16 ends at 2^16. */
const HEADROOM = 2 ** (15 - ROW_EXPONENT);

/** Which operands have k along their rows; else k goes over their rows. */
export interface InnerLast {
  readonly a: boolean;
  readonly b: boolean;
}

const invocationsOf = ({ subgroupRows, subgroupColumns }: MixedTile): number =>
  SUBGROUP * subgroupRows * subgroupColumns;

interface Operand {
  readonly name: 'A' | 'B';
  /** Along the tile. */
  readonly edge: number;
  readonly innerLast: boolean;
  /** Fragments of a subgroup. */
  readonly fragments: number;
}

const operandsOf = (tile: MixedTile, { a, b }: InnerLast): readonly [Operand, Operand] => [
  { name: 'A', edge: rowsOf(tile), innerLast: a, fragments: tile.fragmentRows },
  { name: 'B', edge: columnsOf(tile), innerLast: b, fragments: tile.fragmentColumns },
];

/** A slice of an operand in workgroup memory, in vectors. */
const sliceOf = ({ edge, innerLast }: Operand, depth: number): { rows: number; stride: number } =>
  innerLast
    ? { rows: edge, stride: (depth + PADDING) / CHUNK }
    : { rows: depth, stride: (edge + PADDING) / CHUNK };

/** Vectors of a row of a subgroup's sums on their way to y: rows begin 8 banks apart. */
const resultStride = ({ fragmentColumns }: MixedTile): number => (FRAGMENT * fragmentColumns + 8) / 4;

/** Vectors of workgroup memory: a slice of A and one of B; sums take the place of the last. */
const vectorsOf = (tile: MixedTile, innerLast: InnerLast): number =>
  Math.max(
    operandsOf(tile, innerLast)
      .map((operand) => sliceOf(operand, tile.depth))
      .reduce((sum, { rows, stride }) => sum + rows * stride, 0),
    (invocationsOf(tile) / SUBGROUP) * FRAGMENT * resultStride(tile),
  );

/** Of workgroup memory. */
export const bytesOfMixed = (tile: MixedTile, innerLast: InnerLast): number =>
  16 * (vectorsOf(tile, innerLast) + invocationsOf(tile) / SUBGROUP);

/** What stands before the texts that stand before {@link mixedProductWgsl}. */
export const mixedHeadingWgsl = (tile: MixedTile): string => `
const tileRows = ${rowsOf(tile)}u;
const tileColumns = ${columnsOf(tile)}u;
const invocations = ${invocationsOf(tile)}u;

struct Part {
  /** Where A and B begin, in vectors of 8. */
  a: u32,
  b: u32,
  innerEnd: u32,
}`;

/**
 * A workgroup makes a tile of y from slices of A and B, packed by pack-rows.ts, that are `depth` deep: while its subgroups
 * multiply one slice out of workgroup memory, the next is in registers on its way there. Operands are f16, sums f32.
 *
 * Packed rows have a scale each. On their way they are brought to a common one, that of the largest row of the tile or, where k goes
 * over rows, along k.
 *
 * What stands before this text: the bindings, `sizes.strideA`, `sizes.strideB` (of rows, in vectors of 8), begin, write, and of
 * scaleOfA, scaleOfB (along y's rows and columns) and scalesOfInner (along k, whose product counts) those that there are.
 */
export function mixedProductWgsl(tile: MixedTile, innerLast: InnerLast): string {
  const { fragmentRows, fragmentColumns, subgroupColumns, depth } = tile;
  const subgroups = invocationsOf(tile) / SUBGROUP;
  const slices = operandsOf(tile, innerLast).map((operand) => sliceOf(operand, depth));
  const operands = operandsOf(tile, innerLast).map((operand, i) => ({
    ...operand,
    ...(slices[i] as (typeof slices)[number]),
    /** Where its slice begins. */
    offset: slices.slice(0, i).reduce((sum, { rows, stride }) => sum + rows * stride, 0),
    /** Vectors that an invocation moves. */
    held: (operand.edge * depth) / CHUNK / invocationsOf(tile),
    /** Vectors of a slice's row. */
    chunks: (operand.innerLast ? depth : operand.edge) / CHUNK,
    /** Scales along k are all applied to B. */
    takesInner: operand.name === 'B' && !operand.innerLast,
  }));
  type Held = (typeof operands)[number];
  const scales = [
    ...(innerLast.a ? [{ axis: 'A', count: 'tileRows', scale: 'scaleOfA(i)' }] : []),
    innerLast.b
      ? { axis: 'B', count: 'tileColumns', scale: 'scaleOfB(group.x * tileColumns + i)' }
      : { axis: 'Inner', count: 'part.innerEnd', scale: 'productOf(scalesOfInner(i))' },
  ];

  const eachHeld = (line: (operand: Held, h: number, row: string, column: string) => string): string =>
    operands
      .map((operand) =>
        times(operand.held, (h) => {
          const chunk = `(local + ${h * invocationsOf(tile)})`;
          return line(operand, h, `${chunk} / ${operand.chunks}`, `${chunk} % ${operand.chunks}`);
        }),
      )
      .join('\n');
  const eachSum = (line: (sum: string, i: number, j: number) => string): string =>
    times(fragmentRows, (i) => times(fragmentColumns, (j) => line(`sum${i * fragmentColumns + j}`, i, j)));

  const declare = eachHeld(({ name, takesInner, ...operand }, h, row) =>
    [
      `var next${name}${h}: vec4u;`,
      takesInner ? `var scales${h}: vec2f;` : '',
      operand.innerLast
        ? `let factor${name}${h} = f16(toCommon${name} * scaleOf${name}(${name === 'A' ? '' : 'group.x * tileColumns + '}${row}));`
        : '',
    ].join('\n'),
  );

  /** Nothing is done with the values here: it would wait for them. */
  const read = (inner: string): string =>
    eachHeld(({ name, takesInner, ...operand }, h, row, column) => {
      const from = `packed${name}[part.${name.toLowerCase()} + ${column}`;
      return [
        operand.innerLast
          ? `next${name}${h} = ${from} + ${row} * sizes.stride${name} + ${inner} / ${CHUNK}];`
          : `next${name}${h} = ${from} + (${inner} + ${row}) * sizes.stride${name}];`,
        takesInner ? `scales${h} = scalesOfInner(min(${inner} + ${row}, part.innerEnd - 1));` : '',
      ].join('\n');
    });

  const put = eachHeld(({ name, takesInner, offset, stride, ...operand }, h, row, column) => {
    const next = `next${name}${h}`;
    const half = (values: string): string => `bitcast<vec2u>(factor * bitcast<vec4<f16>>(${values}))`;
    const isScaled = operand.innerLast || takesInner;
    const value = isScaled ? `vec4u(${half(`${next}.xy`)}, ${half(`${next}.zw`)})` : next;
    const factor = takesInner ? `f16(toCommonInner * productOf(scales${h}))` : `factor${name}${h}`;
    return `{
      ${isScaled ? `let factor = ${factor};` : ''}
      // Along rows there are zeros behind the end of k; over rows, other rows.
      slices[${offset} + ${row} * ${stride} + ${column}] = ${
        operand.innerLast ? value : `select(vec4u(), ${value}, inner + ${row} < part.innerEnd)`
      };
    }`;
  });

  const load = ({ name, offset, stride, ...operand }: Held, i: number, step: number): string => {
    const kind = name === 'A' ? 'Left' : 'Right';
    const order = operand.innerLast === (name === 'A') ? 'row_major' : 'col_major';
    const edge = `first${name} + ${FRAGMENT * i}`;
    const at = operand.innerLast
      ? `(${edge}) * ${stride} + ${offset + (FRAGMENT / CHUNK) * step}`
      : `(${edge}) / ${CHUNK} + ${offset + FRAGMENT * step * stride}`;
    return `let of${name}${i} = subgroupMatrixLoad<${kind}, ${order}>(&slices, ${at}, ${stride});`;
  };
  const multiply = times(
    depth / FRAGMENT,
    (step) => `{
      ${operands.map((operand) => times(operand.fragments, (i) => load(operand, i, step))).join('\n')}
      ${eachSum((sum, i, j) => `${sum} = subgroupMatrixMultiplyAccumulate(ofA${i}, ofB${j}, ${sum});`)}
    }`,
  );

  const vectors = (FRAGMENT * fragmentColumns) / 4;
  const resultSize = FRAGMENT * resultStride(tile);
  const deliver = times(
    fragmentRows,
    (i) => `
  ${times(fragmentColumns, (j) => `subgroupMatrixStore<row_major>(&slices, ${resultSize} * subgroup + ${(FRAGMENT / 4) * j}, sum${i * fragmentColumns + j}, ${resultStride(tile)});`)}
  workgroupBarrier();
  deliver(subgroup, lane, row0 + ${FRAGMENT * i}, column0, unit);
  workgroupBarrier();`,
  );

  return `${fragmentTypes}

/** Fragments are moved to and from arrays of vectors: as many bytes at once as there can be. */
var<workgroup> slices: array<vec4u, ${vectorsOf(tile, innerLast)}>;
/** The largest scales that each subgroup has found. */
var<workgroup> largest: array<vec4f, ${subgroups}>;

fn productOf(scales: vec2f) -> f32 {
  return scales.x * scales.y;
}

/** Takes a subgroup's row of fragments from \`slices\` to y. */
fn deliver(subgroup: u32, lane: u32, row0: u32, column0: u32, unit: f32) {
  for (var vector = lane; vector < ${FRAGMENT * vectors}; vector += ${SUBGROUP}) {
    let row = vector / ${vectors};
    let column = vector % ${vectors};
    let sum = bitcast<vec4f>(slices[${resultSize} * subgroup + row * ${resultStride(tile)} + column]);
    write(row0 + row, column0 + 4 * column, unit * sum);
  }
}

@compute @workgroup_size(invocations)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let subgroup = local / ${SUBGROUP};
  let lane = local % ${SUBGROUP};
  let firstA = subgroup / ${subgroupColumns} * ${FRAGMENT * fragmentRows};
  let firstB = subgroup % ${subgroupColumns} * ${FRAGMENT * fragmentColumns};
  let row0 = group.y * tileRows + firstA;
  let column0 = group.x * tileColumns + firstB;
  let part = begin(group, local);

  var found: vec4f;
  ${scales
    .map(
      ({ count, scale }, i) => `for (var i = local; i < ${count}; i += invocations) {
    found[${i}] = max(found[${i}], ${scale});
  }`,
    )
    .join('\n  ')}
  found = subgroupMax(found);
  if (lane == 0) {
    largest[subgroup] = found;
  }
  workgroupBarrier();
  ${times(subgroups, (s) => `found = max(found, largest[${s}]);`)}
  ${scales.map(({ axis }, i) => `let toCommon${axis} = ${HEADROOM} / found[${i}];`).join('\n  ')}
  let unit = ${scales.map((_, i) => `found[${i}] / ${HEADROOM}`).join(' * ')};

  ${eachSum((sum) => `var ${sum}: Sums;`)}
  ${declare}
  ${read('0u')}
  for (var inner = 0u; inner < part.innerEnd; inner += ${depth}) {
    ${put}
    workgroupBarrier();
    let following = inner + ${depth};
    if (following < part.innerEnd) {
      ${read('following')}
    }
    ${multiply}
    workgroupBarrier();
  }
  ${deliver}
}`;
}
