// What the texts of kernels on matrix units (subgroup matrices) begin with, and how they are written: by code, with every loop over
// registers written out. What lies in fragments has no index, other arrays stay in registers only where indices are constants, and
// left to the driver's unrolling it was slower.
//
// Fragments are loaded from multiples of 16 bytes, whatever address is told: so all that lies in workgroup memory beside them is a
// multiple of 16 bytes long.

/** Rows, columns and depth of what the matrix units multiply. */
export const FRAGMENT = 16;
export const SUBGROUP = 32;
/** Values of f16 behind a row in workgroup memory: neighbouring rows begin in different banks. */
export const PADDING = 8;

/** Directives of kernels with operations on subgroups. They stand before all else. */
export const subgroupsHeading = `enable subgroups;
diagnostic(off, subgroup_uniformity);`;

/** Directives of kernels on matrix units. */
export const matrixHeading = `enable f16;
enable chromium_experimental_subgroup_matrix;
// Subgroups are taken to be runs of invocations, which no analysis can know.
diagnostic(off, chromium.subgroup_matrix_uniformity);`;

/** The types of fragments: operands f16, sums f32. */
export const fragmentTypes = `
alias Left = subgroup_matrix_left<f16, ${FRAGMENT}, ${FRAGMENT}>;
alias Right = subgroup_matrix_right<f16, ${FRAGMENT}, ${FRAGMENT}>;
alias Sums = subgroup_matrix_result<f32, ${FRAGMENT}, ${FRAGMENT}>;`;

/** A loop, written out. */
export const times = (count: number, line: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => line(i)).join('\n');

/** Puts four values into an array of f16, which subgroupMatrixLoad takes alone. */
export const putHalves = (array: string, at: string, values: string): string => `{
      let at = ${at};
      let halves = vec4<f16>(${values});
      ${array}[at] = halves.x;
      ${array}[at + 1] = halves.y;
      ${array}[at + 2] = halves.z;
      ${array}[at + 3] = halves.w;
    }`;

/**
 * Values of f16 that are moved at once. Workgroup memory that fragments are loaded from is an array of such vectors (`vec2u`), or of
 * vectors of four sums (`vec4f`), and offsets and strides count them.
 */
export const QUAD = 4;

/** Puts four values into an array of halves, at a vector's place. */
export const putQuad = (array: string, at: string, values: string): string =>
  `${array}[${at}] = bitcast<vec2u>(vec4<f16>(${values}));`;
