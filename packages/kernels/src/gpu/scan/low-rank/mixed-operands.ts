// What the texts of a delta rule on matrix units share. See ../mixed-operands.ts.
//
// With T = (I − N)^{-1} of a chunk, Ã its recall keys −β k decayed to the chunk's start and X its keys decayed to the end, the
// state goes from chunk to chunk as
//
//     S ← D S + M S + H        M = Xᵀ T Ã        H = Xᵀ T (β V)
//
// one product on the way, where states.wgsl has two that wait for each other. So does its gradient, backwards: with Mᵀ, and with
// H = (T Ã)ᵀ Y + scale · Q̃ᵀ dO. What was written, v̂ = T (β V + Ã S), and the gradient of the right sides, Tᵀ (Y + X dS), are
// made afterwards, of all chunks at once.
import { FRAGMENT } from '../../matrix-units.ts';

const BLOCK = FRAGMENT ** 2;

/** T's blocks on and below the diagonal, row by row. */
export const triangle: readonly { readonly row: number; readonly column: number }[] = [0, 1, 2, 3].flatMap(
  (row) => Array.from({ length: row + 1 }, (_, column) => ({ row, column })),
);

export const blockAt = (row: number, column: number): number => BLOCK * ((row * (row + 1)) / 2 + column);

/** Values of f16: T's blocks, and the exponent of their unit. */
export const INVERSE_HALVES = triangle.length * BLOCK + FRAGMENT;

/** Values of f16 of M or H: fragments, then as words the exponent of their unit, and their largest value. */
export const stepHalves = ({ rows, columns }: { rows: number; columns: number }): number =>
  rows * columns + FRAGMENT;

/** β, or 1: of rows of `beta`. */
export const strengthOf = `
const hasBeta = 1u;
fn strengthOf(row: u32) -> f32 {
  return select(1f, beta[select(0, row, (sizes.extra & hasBeta) != 0)], (sizes.extra & hasBeta) != 0);
}`;
