// Products with the inverse of the triangular system by which the tokens of a chunk correct each other.
import { defineOp, matMul, neg, type Tensor } from '@mnemix/tensor';
import { invertUnitLower } from '../portable/triangular.ts';

type Inputs = { scores: Tensor; strict: Tensor };
type Outputs = { solved: Tensor; inverse: Tensor };

const solveOp = defineOp<Inputs, Outputs, object>({
  name: 'TriangularSolve',
  outputs: ['solved', 'inverse'],
  savedOutputs: ['solved', 'inverse'],
  portable: ({ scores, strict }) => {
    const inverse = invertUnitLower(strict);
    return { solved: matMul(scores, inverse), inverse };
  },
  gradient: ({ outputs: { solved, inverse }, grads }) => {
    const scores = matMul(grads.solved, inverse, false, true);
    return { scores, strict: neg(matMul(solved, scores, true, false)) };
  },
});

/**
 * F = Z (I + L)^{-1}. Gradients: dZ = dF (I + L)^{-T}, dL = −Fᵀ dZ, of which only the part below the diagonal
 * means anything.
 *
 * @param scores Z [P, R, C]
 * @param strict L [P, C, C], strictly lower triangular; C ≤ 16 or a multiple of 16
 * @returns [P, R, C]
 */
export const solveRight = (scores: Tensor, strict: Tensor): Tensor => solveOp({ scores, strict }, {}).solved;
