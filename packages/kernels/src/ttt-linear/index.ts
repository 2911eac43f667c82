// A linear map that is trained while it is read: test-time training with mini-batch gradient descent.
import {
  add,
  checkConfig,
  checkShapes,
  concat,
  reshape,
  sub,
  tidy,
  tile,
  zeros,
  type Tensor,
} from '@mnemix/tensor';
import type { Sequences } from '../sequences.ts';
import { tttLinearChunks } from './chunk.ts';

export interface TttLinearArguments {
  /** Queries [N, H, D]. */
  readonly q: Tensor;
  /** Keys [N, H, D]. */
  readonly k: Tensor;
  /** Values [N, H, D]. */
  readonly v: Tensor;
  /** Step size η of each token [N, H]. */
  readonly eta: Tensor;
  /** w of the inner layer norm [H, D]. */
  readonly normWeight: Tensor;
  /** b of the inner layer norm [H, D]. */
  readonly normBias: Tensor;
  /** W where a sequence starts, [H, D, D]; zeros if left out. */
  readonly initialWeight?: Tensor | undefined;
  /** c where a sequence starts, [H, D]; zeros if left out. */
  readonly initialBias?: Tensor | undefined;
  /** Continues an earlier call; zeros, which is the same as none, where a sequence starts. */
  readonly initialState?: TttLinearState | undefined;
}

/** What TTT-linear carries from call to call. Zeros are the empty state. */
export type TttLinearState = {
  /**
   * The map [W; c] at the start of the current mini-batch, as the difference to the initial one: [S, H, D +
   * 1, D].
   */
  readonly memory: Tensor;
  /** Σ_j [k_j; 1] G_jᵀ over the tokens of the current mini-batch, in the same shape. */
  readonly gradients: Tensor;
  /** Number of these tokens, 0 … miniBatch − 1: float32 [S]. A constant to every gradient. */
  readonly phase: Tensor;
};

export interface TttLinearOptions {
  /** Where the sequences lie in the rows. */
  readonly sequences: Sequences;
  /** Tokens whose gradients are taken at the same map. 16 if left out. */
  readonly miniBatch?: number | undefined;
  /** Factor of the queries, D^-1/2 if left out. */
  readonly scale?: number | undefined;
  /** ε of the inner layer norm, 1e-6 if left out. */
  readonly eps?: number | undefined;
}

/**
 * TTT-linear: for each sequence and head, a map z = Wᵀk + c that learns to answer a key with v − k. Token by
 * token, with the inner loss ℓ = ½‖w ⊙ LN(z) + b − (v − k)‖² and W, c as they were at the start of the
 * mini-batch,
 *
 *     G_j = ∂ℓ/∂z at z_j = Wᵀk_j + c
 *     o_i = (W − η_i Σ_{j≤i} k_j G_jᵀ)ᵀ (scale · q_i) + c − η_i Σ_{j≤i} G_j
 *
 * where j runs over the tokens of the mini-batch; behind its last token, W ← W − η_C Σ_j k_j G_jᵀ and c ← c −
 * η_C Σ_j G_j, with that token's η. Mini-batches count from a sequence's first token on, so that cutting a
 * sequence anywhere changes nothing. The published layer reads o + w ⊙ LN(o) + b, which is left to the
 * caller. Differentiable in all tensors, of states and the initial map too. See "Learning to (Learn at Test
 * Time)" (arXiv 2407.04620), section 2.
 *
 * @returns o [N, H, D], 0 in rows of no sequence; the state after each sequence's last token
 * @throws MnemixError `shape` or `config`
 */
export function tttLinear(
  tensors: TttLinearArguments,
  { sequences, miniBatch = 16, scale, eps = 1e-6 }: TttLinearOptions,
): { o: Tensor; state: TttLinearState } {
  const { q, k, v, eta, normWeight, normBias, initialWeight, initialBias, initialState } = tensors;
  const { rows, count } = sequences;
  const { H = 0, D = 0 } = checkShapes('tttLinear', {
    q: [q, [rows, 'H', 'D']],
    k: [k, [rows, 'H', 'D']],
    v: [v, [rows, 'H', 'D']],
    eta: [eta, [rows, 'H']],
    normWeight: [normWeight, ['H', 'D']],
    normBias: [normBias, ['H', 'D']],
    initialWeight: [initialWeight, ['H', 'D', 'D']],
    initialBias: [initialBias, ['H', 'D']],
  });
  checkShapes('tttLinear(initialState)', {
    memory: [initialState?.memory, [count, H, D + 1, D]],
    gradients: [initialState?.gradients, [count, H, D + 1, D]],
    phase: [initialState?.phase, [count]],
  });
  checkConfig(
    Number.isInteger(miniBatch) && miniBatch > 0,
    'tttLinear(miniBatch)',
    `expected a positive integer, found ${miniBatch}.`,
    'Pass miniBatch: 16, or leave it out.',
  );
  if (sequences.maxLength === 0) {
    const empty = () => zeros([count, H, D + 1, D]);
    const { memory, gradients, phase } = initialState ?? {};
    const state = {
      memory: memory?.clone() ?? empty(),
      gradients: gradients?.clone() ?? empty(),
      phase: phase?.clone() ?? zeros([count]),
    };
    return { o: zeros([rows, H, D]), state };
  }
  return tidy(() => {
    const initial = concat(
      [initialWeight ?? zeros([H, D, D]), reshape(initialBias ?? zeros([H, D]), [H, 1, D])],
      1,
    );
    const initials = tile(reshape(initial, [1, H, D + 1, D]), [count, 1, 1, 1]);
    const before = initialState ? add(initials, initialState.memory) : initials;
    const { o, memory, gradients, phase } = tttLinearChunks(
      {
        q,
        k,
        v,
        eta,
        normWeight,
        normBias,
        memory: before,
        gradients: initialState?.gradients,
        phase: initialState?.phase,
      },
      sequences,
      { miniBatch, scale: scale ?? D ** -0.5, eps },
    );
    // In this order, what no token has written stays the same to the bit.
    const learned = sub(memory, before);
    return {
      o,
      state: { memory: initialState ? add(initialState.memory, learned) : learned, gradients, phase },
    };
  });
}
