// Memories that learn by gradient descent: what TTT-linear and Titans have in common, and all of them that
// goes chunk after chunk. The tokens of a chunk are answered by one and the same memory, the anchor, which is
// M as it was at the chunk's start; with the gradients G of their inner losses there (reconstruction.ts)
// everything else is linear:
//
//     G = ∂ℓ/∂z at z = keys · anchor
//     o = reads · S + scores · G
//     S ← transition S + writesᵀ G
//
// S is M, or M and the momentum Z stacked. A slot without a token has zeros for its key, its writes, and the
// scores that read it.
import { defineOp, type Tensor } from '@mnemix/tensor';
import { descentBackward } from './descent-backward.ts';
import { descentForward } from './descent-forward.ts';

/**
 * In chunks as `ChunkLayout` makes them: P = n·L of them, C slots each, for L scans. R is r, or 2r with
 * momentum.
 */
export type DescentInputs = {
  /** [P, C, R]. */
  reads: Tensor;
  /** [P, C, C]: row i reads what row j wrote. */
  scores: Tensor;
  /** [P, C, r]. */
  keys: Tensor;
  /** [P, C, R]. */
  writes: Tensor;
  /** [P, 1, 1]: M ← x M; or [P, 1, 3]: M ← x M + y Z, Z ← z Z. The identity if left out. */
  transition?: Tensor | undefined;
  /** w⊙(b − t) of the inner loss, [P, C, D]. */
  offset: Tensor;
  /** w² of the inner loss, [L, 1, D]. */
  squaredWeight: Tensor;
  /** S before the first chunk, [L, R, D]. */
  state: Tensor;
  /** The anchor of the first chunk, where it is not the M of `state`: [L, r, D]. */
  anchor?: Tensor | undefined;
  /**
   * int32 [sequences]: c·sequences + s for the anchor of chunk c that is asked for; c = n for the final M.
   */
  border?: Tensor | undefined;
};

export interface DescentAttrs {
  /** ε of the inner loss. */
  readonly eps: number;
}

export type DescentOutputs = {
  /** [P, C, D]. */
  o: Tensor;
  /** S after the last chunk. */
  state: Tensor;
  /** The anchors that `border` asks for, [L, r, D]; [0] without. */
  anchor: Tensor;
  /** G [P, C, D]. */
  gradients: Tensor;
  /** S at the start of each chunk, [P, R, D]: kept for the gradient, as is z. */
  states: Tensor;
  /** z [P, C, D]. */
  answers: Tensor;
};

export type DescentGradientInputs = DescentInputs & {
  states: Tensor;
  answers: Tensor;
  dO: Tensor;
  dState: Tensor;
  dAnchor: Tensor;
  dGradients: Tensor;
};

/** In the shapes of the inputs; [0] for a transition or an anchor that is absent. */
export type DescentGradients = Required<Omit<DescentInputs, 'border'>>;

const gradientOp = defineOp<DescentGradientInputs, DescentGradients, DescentAttrs>({
  name: 'DescentGradient',
  outputs: ['reads', 'scores', 'keys', 'writes', 'transition', 'offset', 'squaredWeight', 'state', 'anchor'],
  integers: ['border'],
  portable: descentBackward,
});

export const descent = defineOp<DescentInputs, DescentOutputs, DescentAttrs>({
  name: 'Descent',
  outputs: ['o', 'state', 'anchor', 'gradients', 'states', 'answers'],
  integers: ['border'],
  savedOutputs: ['states', 'answers'],
  portable: descentForward,
  gradient: ({ inputs, outputs: { states, answers }, grads, attrs }) =>
    gradientOp(
      {
        ...inputs,
        states,
        answers,
        dO: grads.o,
        dState: grads.state,
        dAnchor: grads.anchor,
        dGradients: grads.gradients,
      },
      attrs,
    ),
});
