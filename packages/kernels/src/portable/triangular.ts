// Lower triangular matrices over the tokens of a chunk.
import {
  cast,
  concat,
  expandDims,
  greater,
  matMul,
  mul,
  neg,
  oneHot,
  pad,
  range,
  slice,
  split,
  sub,
  tile,
  type Tensor,
} from '@mnemix/tensor';

/** 1 where j < i, else 0: [i, j]. */
export function lowerTriangle(size: number): Tensor {
  const places = range(0, size);
  return cast(greater(expandDims(places, 1), expandDims(places, 0)), 'float32');
}

/** Rows that are eliminated one by one; beyond, blocks of them are combined by products. */
const BLOCK = 16;

/** A part of L of a block's rows and `columns` blocks' columns, and the inverses (I + L_ii)^{-1}. */
function inBlocks(strict: Tensor) {
  const [batch, size] = strict.shape as [number, number, number];
  const block = Math.min(BLOCK, size);
  const count = size / block;
  const at = (row: number, column: number, columns: number): Tensor =>
    slice(strict, [0, row * block, column * block], [batch, block, columns * block]);
  const diagonal = Array.from({ length: count }, (_, i) => at(i, i, 1));
  return { block, at, inverses: split(eliminate(concat(diagonal, 0)), count, 0) };
}

/**
 * I + L, made ready for systems to be solved: blocks [row][column] of it, of which those on the diagonal are inverted and those
 * above it left out.
 */
export type UnitLower = readonly (readonly Tensor[])[];

/** @param strict L [P, C, C], strictly lower triangular; C ≤ 16 or a multiple of 16 */
export function unitLower(strict: Tensor): UnitLower {
  const { at, inverses } = inBlocks(strict);
  return inverses.map((inverse, i) => [...Array.from({ length: i }, (_, m) => at(i, m, 1)), inverse]);
}

/**
 * (I + L)^{-1} X, or (I + L)^{-T} X, by substitution of blocks of rows, as the scans need it once a chunk.
 *
 * Not by the inverse of all of it: where keys are correlated and β approaches 2, its rounding makes errors two to three
 * times as large. A Neumann product (I−L)(I+L²)(I+L⁴)… loses all digits.
 *
 * @param right X [P, C, d]
 */
export function solveUnitLower(system: UnitLower, right: Tensor, transposed = false): Tensor {
  const rows = split(right, system.length, 1);
  const order = [...rows.keys()];
  if (transposed) order.reverse();
  order.forEach((i, place) => {
    let left = rows[i] as Tensor;
    for (const m of order.slice(0, place)) {
      const block = (transposed ? system[m]?.[i] : system[i]?.[m]) as Tensor;
      left = sub(left, matMul(block, rows[m] as Tensor, transposed));
    }
    rows[i] = matMul(system[i]?.[i] as Tensor, left, transposed);
  });
  return concat(rows, 1);
}

/**
 * (I + L)^{-1} itself, by blocks. For products from the left, solveUnitLower keeps more digits.
 *
 * @param strict L [P, C, C], strictly lower triangular; C ≤ 16 or a multiple of 16
 */
export function invertUnitLower(strict: Tensor): Tensor {
  const { block, at, inverses } = inBlocks(strict);
  // Block row i: T_i = (I + L_ii)^{-1} (I_i − Σ_{m<i} L_im T_m), which is (I + L_ii)^{-1} on the diagonal itself.
  let solved = inverses[0] as Tensor;
  for (let i = 1; i < inverses.length; i++) {
    const inverse = inverses[i] as Tensor;
    const left = matMul(inverse, matMul(at(i, 0, i), solved));
    const above = pad(solved, [
      [0, 0],
      [0, 0],
      [0, block],
    ]);
    solved = concat([above, concat([neg(left), inverse], 2)], 1);
  }
  return solved;
}

/** The same for blocks so small that each row is eliminated by itself. */
function eliminate(strict: Tensor): Tensor {
  const [batch, size] = strict.shape as [number, number, number];
  let inverse = tile(expandDims(oneHot(range(0, size, 1, 'int32'), size), 0), [batch, 1, 1]);
  for (let j = 0; j < size - 1; j++) {
    // Row j is final now: take it out of the rows below (L_ij is 0 in the others).
    const column = slice(strict, [0, 0, j], [batch, size, 1]);
    inverse = sub(inverse, mul(column, slice(inverse, [0, j, 0], [batch, 1, size])));
  }
  return inverse;
}
