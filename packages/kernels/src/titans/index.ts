// A linear memory that learns by gradient descent with momentum and forgets: Titans.
import { add, checkConfig, checkShapes, reshape, sub, tidy, tile, zeros, type Tensor } from '@mnemix/tensor';
import type { Sequences } from '../sequences.ts';
import { titansChunks } from './chunk.ts';

export interface TitansArguments {
  /** Queries [N, H, D]. */
  readonly q: Tensor;
  /** Keys [N, H, D]. */
  readonly k: Tensor;
  /** Values [N, H, D]. */
  readonly v: Tensor;
  /** How much of the memory each token forgets, [N, H], in [0, 1]. */
  readonly alpha: Tensor;
  /** Step size of each token, [N, H], in [0, 1]. */
  readonly theta: Tensor;
  /**
   * How much of the momentum each token keeps, [N, H], in [0, 1]. None: no momentum, a step is θ times the
   * gradient.
   */
  readonly eta?: Tensor | undefined;
  /** w of the inner layer norm [H, D]. */
  readonly normWeight: Tensor;
  /** b of the inner layer norm [H, D]. */
  readonly normBias: Tensor;
  /** M where a sequence starts, [H, D, D]; zeros if left out. */
  readonly initialMemory?: Tensor | undefined;
  /** Continues an earlier call; zeros, which is the same as none, where a sequence starts. */
  readonly initialState?: TitansState | undefined;
}

/** What Titans carries from call to call. Zeros are the empty state. */
export type TitansState = {
  /** M as the difference to the initial one, [S, H, D, D]. */
  readonly memory: Tensor;
  /** Z, in the same shape; absent where `eta` is. */
  readonly momentum?: Tensor;
  /** M at the start of the current chunk, again as a difference: equal to `memory` where `phase` is 0. */
  readonly anchor: Tensor;
  /**
   * Tokens of the current chunk that are behind, 0 … chunkSize − 1: float32 [S]. A constant to every
   * gradient.
   */
  readonly phase: Tensor;
};

export interface TitansOptions {
  /** Where the sequences lie in the rows. */
  readonly sequences: Sequences;
  /** Tokens whose gradients are taken at the same memory. 16 if left out. */
  readonly chunkSize?: number | undefined;
  /** Factor of the queries, D^-1/2 if left out. */
  readonly scale?: number | undefined;
  /** ε of the inner layer norm, 1e-6 if left out. */
  readonly eps?: number | undefined;
}

/**
 * Titans with a linear memory: for each sequence and head, a map z = Mᵀk that learns to answer a key with v −
 * k. Token by token, with the inner loss ℓ = ½‖w ⊙ LN(z) + b − (v − k)‖² and its gradient G = ∂ℓ/∂z taken at
 * the memory as it was at the start of the chunk,
 *
 *     Z ← η Z − 2 θ k Gᵀ        M ← (1 − α) M + Z        o = Mᵀ (scale · q)
 *
 * Chunks count from a sequence's first token on, so that cutting a sequence anywhere changes nothing. The
 * layer reads o + w ⊙ LN(o) + b, which is left to the caller. Differentiable in all tensors, those of the
 * state and the initial memory too. See "Titans: Learning to Memorize at Test Time" (arXiv 2501.00663),
 * section 3.1; the inner loss and the factor 2 are those of fla's `ops/titans`.
 *
 * @returns o [N, H, D], 0 in rows of no sequence; the state after each sequence's last token
 * @throws MnemixError `shape` or `config`
 */
export function titans(
  tensors: TitansArguments,
  { sequences, chunkSize = 16, scale, eps = 1e-6 }: TitansOptions,
): { o: Tensor; state: TitansState } {
  const { q, k, v, alpha, theta, eta, normWeight, normBias, initialMemory, initialState } = tensors;
  const { rows, count } = sequences;
  const { H = 0, D = 0 } = checkShapes('titans', {
    q: [q, [rows, 'H', 'D']],
    k: [k, [rows, 'H', 'D']],
    v: [v, [rows, 'H', 'D']],
    alpha: [alpha, [rows, 'H']],
    theta: [theta, [rows, 'H']],
    eta: [eta, [rows, 'H']],
    normWeight: [normWeight, ['H', 'D']],
    normBias: [normBias, ['H', 'D']],
    initialMemory: [initialMemory, ['H', 'D', 'D']],
  });
  const shape = [count, H, D, D];
  checkShapes('titans(initialState)', {
    memory: [initialState?.memory, shape],
    momentum: [initialState?.momentum, shape],
    anchor: [initialState?.anchor, shape],
    phase: [initialState?.phase, [count]],
  });
  checkConfig(
    Number.isInteger(chunkSize) && chunkSize > 0,
    'titans(chunkSize)',
    `expected a positive integer, found ${chunkSize}.`,
    'Pass chunkSize: 16, or leave it out.',
  );
  if (sequences.maxLength === 0) {
    const { memory, momentum, anchor, phase } = initialState ?? {};
    const state = {
      memory: memory?.clone() ?? zeros(shape),
      ...(eta && { momentum: momentum?.clone() ?? zeros(shape) }),
      anchor: anchor?.clone() ?? zeros(shape),
      phase: phase?.clone() ?? zeros([count]),
    };
    return { o: zeros([rows, H, D]), state };
  }
  return tidy(() => {
    const initials = tile(reshape(initialMemory ?? zeros([H, D, D]), [1, H, D, D]), [count, 1, 1, 1]);
    const absolute = (x: Tensor | undefined) => (x ? add(initials, x) : initials);
    const [before, anchorBefore] = [absolute(initialState?.memory), absolute(initialState?.anchor)];
    const { o, memory, anchor, ...rest } = titansChunks(
      {
        q,
        k,
        v,
        alpha,
        theta,
        eta,
        normWeight,
        normBias,
        memory: before,
        momentum: initialState?.momentum,
        anchor: initialState && anchorBefore,
        phase: initialState?.phase,
      },
      sequences,
      { chunkSize, scale: scale ?? D ** -0.5, eps },
    );
    // In this order, what no token has written stays the same to the bit.
    const next = (x: Tensor, from: Tensor, state: Tensor | undefined) =>
      state ? add(state, sub(x, from)) : sub(x, from);
    return {
      o,
      state: {
        memory: next(memory, before, initialState?.memory),
        anchor: next(anchor, anchorBefore, initialState?.anchor),
        ...rest,
      },
    };
  });
}
