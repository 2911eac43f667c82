// The text of products of matrices, by the tile that a workgroup makes.
import productWgsl from './product.wgsl';

export interface Tile {
  /** Rows are always 64. */
  readonly columns: 64 | 128;
  /** Each has 8 rows by 4 columns of sums, or 8 by 8. */
  readonly invocations: 64 | 128;
  /** Of a slice along the inner index. */
  readonly depth: 16 | 32;
}

export const productText = ({ columns, invocations, depth }: Tile): string => `
const tileColumns = ${columns}u;
const invocations = ${invocations}u;
const depth = ${depth}u;
${productWgsl}`;
