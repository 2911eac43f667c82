// S ← Diag(e^g) S + b (aᵀS) + k vᵀ: memories that take what they recall at one key and write it at another.
import { checkShapes, type Tensor } from '@mnemix/tensor';
import { withoutKept } from '../portable/kept.ts';
import { emptyScan, scanAttrs, sequenceTensors, type ScanOptions } from '../portable/scan-options.ts';
import { diagonalPlusLowRankOp } from './op.ts';

export interface DiagonalPlusLowRankArguments {
  /** Queries [N, H, dk]. */
  readonly q: Tensor;
  /** Write keys [N, H, dk]. */
  readonly k: Tensor;
  /** Values [N, H, dv]. */
  readonly v: Tensor;
  /** Recall keys [N, H, dk]: a token recalls Sᵀa, of the state before its own decay. */
  readonly a: Tensor;
  /**
   * Where a token writes what it recalled [N, H, dk]. Keep the eigenvalues of Diag(e^g) + b aᵀ in [−1, 1], or
   * the memory may diverge: a = −κ and b = κ ⊙ α with |κ| = 1 and α in [0, 1] do (RWKV-7).
   */
  readonly b: Tensor;
  /**
   * g ≤ 0, the natural logarithm of the decay: [N, H], or [N, H, dk] for one gate a key channel. None: no
   * decay.
   */
  readonly logDecay?: Tensor | undefined;
  /** [S, H, dk, dv]; zeros if left out. */
  readonly initialState?: Tensor | undefined;
}

/**
 * The scan whose transition is diagonal plus low rank: for each sequence and head, token by token,
 *
 *     S ← Diag(e^g) S + b (aᵀS) + k vᵀ        o = scale · Sᵀq
 *
 * where a recalls from the state before the decay. RWKV-7 (a = −κ, b = κ ⊙ α) and, without decay, IPLR are
 * this op with their own keys and gates. So is the delta rule (a = −e^g ⊙ k, and βk for both b and k), which
 * has a cheaper op of its own, `deltaRule`. Differentiable in all tensors.
 * See "RWKV-7 Goose with Expressive Dynamic State Evolution" (arXiv 2503.14456), and "Parallelizing Linear
 * Transformers with the Delta Rule" (arXiv 2406.06484), section 3, for the chunk form that this one extends.
 *
 * @returns o [N, H, dv], 0 in rows of no sequence; state [S, H, dk, dv] after each sequence's last token
 * @throws MnemixError `shape` or `config`
 */
export function diagonalPlusLowRank(
  tensors: DiagonalPlusLowRankArguments,
  options: ScanOptions,
): { o: Tensor; state: Tensor } {
  const { q, k, v, a, b, logDecay, initialState } = tensors;
  const { sequences } = options;
  const { rows, count } = sequences;
  const sizes = checkShapes('diagonalPlusLowRank', {
    q: [q, [rows, 'H', 'dk']],
    k: [k, [rows, 'H', 'dk']],
    v: [v, [rows, 'H', 'dv']],
    a: [a, [rows, 'H', 'dk']],
    b: [b, [rows, 'H', 'dk']],
    logDecay: [logDecay, logDecay?.rank === 3 ? [rows, 'H', 'dk'] : [rows, 'H']],
    initialState: [initialState, [count, 'H', 'dk', 'dv']],
  });
  const attrs = scanAttrs('diagonalPlusLowRank', options, sizes);
  if (sequences.maxLength === 0) return emptyScan(initialState, sequences, sizes);
  return withoutKept(
    diagonalPlusLowRankOp({ q, k, v, a, b, logDecay, initialState, ...sequenceTensors(sequences) }, attrs),
  );
}
