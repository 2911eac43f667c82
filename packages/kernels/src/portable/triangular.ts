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

/**
 * (I + L)^{-1} by blocked forward substitution, as the delta rule needs it once a chunk.
 *
 * A Neumann product (I−L)(I+L²)(I+L⁴)… would need fewer steps, but loses all digits where keys are correlated and
 * β approaches 2.
 *
 * @param strict L [P, C, C], strictly lower triangular; C ≤ 16 or a multiple of 16
 */
export function invertUnitLower(strict: Tensor): Tensor {
  const [batch, size] = strict.shape as [number, number, number];
  const block = Math.min(BLOCK, size);
  const count = size / block;
  const at = (row: number, column: number, columns: number) =>
    slice(strict, [0, row * block, column * block], [batch, block, columns * block]);

  const diagonal = Array.from({ length: count }, (_, i) => at(i, i, 1));
  const inverses = split(eliminate(concat(diagonal, 0)), count, 0);
  // Block row i: T_i = (I + L_ii)^{-1} (I_i − Σ_{m<i} L_im T_m), which is (I + L_ii)^{-1} on the diagonal itself.
  let solved = inverses[0] as Tensor;
  for (let i = 1; i < count; i++) {
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
