// What the texts of a scan on matrix units share: operands f16, sums f32.
//
// f16 has few exponents, so everything is divided by a power of two on its way there: rows of operands by one each, a chunk's
// operands of states by one each, states by one for 32 columns. Decays are at most 1, and need none.
import {
  FRAGMENT,
  fragmentTypes,
  matrixHeading,
  putQuad,
  QUAD,
  SUBGROUP,
  subgroupsHeading,
  times,
} from '../matrix-units.ts';

/** Tokens of a chunk. */
export const CHUNK = 64;
/** Values of state that a workgroup of states has in a row. */
export const STATE_COLUMNS = 32;

/** What must stand before all else. */
export const mixedHeading = [subgroupsHeading, matrixHeading].join('\n');

/** What all texts have. */
export const mixedCommon = `${fragmentTypes}

/** The largest magnitude, as bits that grow with it. */
fn largestOf(values: vec4f) -> u32 {
  let found = abs(values);
  return bitcast<u32>(max(max(found.x, found.y), max(found.z, found.w)));
}

/** The power of two that \`largest\` lies just above, within bounds that leave room for products of three. */
fn unitOf(largest: u32) -> f32 {
  return bitcast<f32>(clamp(largest >> 23, 87u, 167u) << 23);
}

fn exponentOf(unit: f32) -> f32 {
  return f32(bitcast<u32>(unit) >> 23) - 127;
}

/** 1 / unit, exactly. */
fn inverseOf(unit: f32) -> f32 {
  return bitcast<f32>((254u - (bitcast<u32>(unit) >> 23)) << 23);
}`;

/** How `main` of a workgroup that has a chunk's head begins: chunks that the table has left over have no tokens. */
export const chunkMain = (invocations: number): string => `@compute @workgroup_size(${invocations})
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let chunk = chunks[group.z];
  if (chunk.tokens == 0) {
    return;
  }
  let head = group.y;
  let subgroup = local / ${SUBGROUP};
  let lane = local % ${SUBGROUP};`;

/** Reads of one invocation at once. */
const MOST_READS = 8;

interface BroughtRows {
  readonly name: string;
  readonly width: number;
  /** Of workgroup memory, and the vectors of a row there. */
  readonly array: string;
  readonly stride: number;
  readonly invocations: number;
  /** What rows are multiplied with. */
  readonly factor?: string | undefined;
  /** A statement for the row's first invocation, of `row` and what it was divided by, `unit`. */
  readonly leaveUnit: string;
}

/** Brings the chunk's rows to workgroup memory as f16, each divided by a unit of its own; 0 behind the last token. */
export const bringRows = ({
  name,
  width,
  array,
  stride,
  invocations,
  factor,
  leaveUnit,
}: BroughtRows): string => {
  const quads = width / QUAD;
  const passes = (CHUNK * quads) / invocations;
  const batch = Math.min(passes, MOST_READS);
  return times(passes / batch, (b) => {
    const row = (p: number): string => `(local + ${(b * batch + p) * invocations}) / ${quads}`;
    return `{
    ${times(batch, (p) => `let raw${p} = ${name}[((chunk.start + min(${row(p)}, chunk.tokens - 1)) * sizes.heads + head) * ${quads} + local % ${quads}];`)}
    ${times(
      batch,
      (p) => `{
      let row = ${row(p)};
      let values = select(vec4f(), ${factor ? `${factor} * ` : ''}raw${p}, row < chunk.tokens);
      let unit = unitOf(subgroupMax(largestOf(values)));
      if (local % ${quads} == 0) {
        ${leaveUnit};
      }
      ${putQuad(array, `row * ${stride} + local % ${quads}`, 'inverseOf(unit) * values')}
    }`,
    )}
  }`;
  });
};

/** Of one head's state: its fragments, and the exponents of the units of each 32 columns, of which every second value is one. */
export const mixedStateHalves = ({ dk, dv }: { dk: number; dv: number }): number =>
  dk * dv + Math.max(FRAGMENT, (2 * dv) / STATE_COLUMNS);
