// What the texts of a scan on matrix units share: operands f16, sums f32.
//
// f16 has few exponents, so everything is divided by a power of two on its way there: rows of operands by one each, a chunk's
// operands of states by one each, states by one for 32 columns. Decays are at most 1, and need none.
import { FRAGMENT, fragmentTypes, matrixHeading, subgroupsHeading } from '../matrix-units.ts';

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

/** Of one head's state: its fragments, and the exponents of the units of each 32 columns, of which every second value is one. */
export const mixedStateHalves = ({ dk, dv }: { dk: number; dv: number }): number =>
  dk * dv + Math.max(FRAGMENT, (2 * dv) / STATE_COLUMNS);
