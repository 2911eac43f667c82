// S ← Diag(e^g) S + k vᵀ, o = Sᵀq: linear attention and everything that only decays.
import { checkShapes, type Tensor } from '@mnemix/tensor';
import { withoutKept } from '../portable/kept.ts';
import { emptyScan, scanAttrs, sequenceTensors, type ScanOptions } from '../portable/scan-options.ts';
import { diagonalDecayOp } from './op.ts';

export type { ScanForm, ScanOptions } from '../portable/scan-options.ts';

export interface DiagonalDecayArguments {
  /** Queries [N, H, dk]. */
  readonly q: Tensor;
  /** Keys [N, H, dk]. */
  readonly k: Tensor;
  /** Values [N, H, dv]. */
  readonly v: Tensor;
  /** g ≤ 0, the natural logarithm of the decay: [N, H], or [N, H, dk] for one gate a key channel. None: no decay. */
  readonly logDecay?: Tensor | undefined;
  /** u [H, dk]: reads happen before the update, plus this weight of the token's own write (RWKV-6). */
  readonly bonus?: Tensor | undefined;
  /** [S, H, dk, dv]; zeros if left out. */
  readonly initialState?: Tensor | undefined;
}

/**
 * The diagonal-decay memory: for each sequence and head, token by token,
 *
 *     S ← Diag(e^g) S + k vᵀ        o = scale · Sᵀq
 *
 * and with `bonus` o = scale · (S_before + Diag(u) k vᵀ)ᵀ q. Linear attention, Lightning, RetNet, Mamba-2 (scalar decay),
 * GLA, HGRN2 (vector decay) and RWKV-6 (bonus) are this op with their own q, k, v and gates. Differentiable in all
 * tensors; see "Gated Linear Attention Transformers" (arXiv 2312.06635), section 4, for the chunk form.
 *
 * @returns o [N, H, dv], 0 in rows of no sequence; state [S, H, dk, dv] after each sequence's last token
 * @throws MnemixError `shape` or `config`
 */
export function diagonalDecay(
  tensors: DiagonalDecayArguments,
  options: ScanOptions,
): { o: Tensor; state: Tensor } {
  const { q, k, v, logDecay, bonus, initialState } = tensors;
  const { sequences } = options;
  const sizes = checkShapes('diagonalDecay', {
    q: [q, [sequences.rows, 'H', 'dk']],
    k: [k, [sequences.rows, 'H', 'dk']],
    v: [v, [sequences.rows, 'H', 'dv']],
    logDecay: [logDecay, logDecay?.rank === 3 ? [sequences.rows, 'H', 'dk'] : [sequences.rows, 'H']],
    bonus: [bonus, ['H', 'dk']],
    initialState: [initialState, [sequences.count, 'H', 'dk', 'dv']],
  });
  const attrs = scanAttrs('diagonalDecay', options, sizes);
  if (sequences.maxLength === 0) return emptyScan(initialState, sequences, sizes);
  return withoutKept(
    diagonalDecayOp({ q, k, v, logDecay, bonus, initialState, ...sequenceTensors(sequences) }, attrs),
  );
}
