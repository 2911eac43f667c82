// S ← S + k (v − Sᵀk)ᵀ and its kin: memories that correct what they hold instead of adding to it.
import { checkShapes, type Tensor } from '@mnemix/tensor';
import { withoutKept } from '../portable/kept.ts';
import { emptyScan, scanAttrs, sequenceTensors, type ScanOptions } from '../portable/scan-options.ts';
import { deltaRuleOp } from './op.ts';

export interface DeltaRuleArguments {
  /** Queries [N, H, dk]. */
  readonly q: Tensor;
  /** Write keys [N, H, dk]; of length 1 or less, or the memory may diverge. */
  readonly k: Tensor;
  /** Values [N, H, dv]. */
  readonly v: Tensor;
  /** Strength of the correction [N, H], in [0, 2]; 1 if left out. */
  readonly beta?: Tensor | undefined;
  /** Erase keys [N, H, dk]; k if left out. */
  readonly erase?: Tensor | undefined;
  /** g ≤ 0, the natural logarithm of the decay: [N, H], or [N, H, dk] for one gate a key channel. None: no decay. */
  readonly logDecay?: Tensor | undefined;
  /** [S, H, dk, dv]; zeros if left out. */
  readonly initialState?: Tensor | undefined;
}

export interface DeltaRuleOptions extends ScanOptions {
  /** Erase from the state as it was before the token's decay (Comba). */
  readonly eraseBeforeDecay?: boolean | undefined;
}

/**
 * The gated delta rule: for each sequence and head, token by token,
 *
 *     S ← Diag(e^g) S        S ← S + k · β (v − Sᵀ erase)ᵀ        o = scale · Sᵀq
 *
 * DeltaNet (no decay), Gated DeltaNet (scalar decay), KDA (vector decay), GDN-2 (own erase keys), Comba
 * (`eraseBeforeDecay`) and DeltaProduct are this op with their own keys and gates. Differentiable in all tensors.
 * See "Parallelizing Linear Transformers with the Delta Rule" (arXiv 2406.06484), section 3, and "Gated Delta Networks"
 * (arXiv 2412.06464), section 3.3, for the chunk form.
 *
 * @returns o [N, H, dv], 0 in rows of no sequence; state [S, H, dk, dv] after each sequence's last token
 * @throws MnemixError `shape` or `config`
 */
export function deltaRule(
  tensors: DeltaRuleArguments,
  options: DeltaRuleOptions,
): { o: Tensor; state: Tensor } {
  const { q, k, v, beta, erase, logDecay, initialState } = tensors;
  const { sequences, eraseBeforeDecay = false } = options;
  const { rows, count } = sequences;
  const sizes = checkShapes('deltaRule', {
    q: [q, [rows, 'H', 'dk']],
    k: [k, [rows, 'H', 'dk']],
    v: [v, [rows, 'H', 'dv']],
    beta: [beta, [rows, 'H']],
    erase: [erase, [rows, 'H', 'dk']],
    logDecay: [logDecay, logDecay?.rank === 3 ? [rows, 'H', 'dk'] : [rows, 'H']],
    initialState: [initialState, [count, 'H', 'dk', 'dv']],
  });
  const attrs = { ...scanAttrs('deltaRule', options, sizes), eraseBeforeDecay };
  if (sequences.maxLength === 0) return emptyScan(initialState, sequences, sizes);
  return withoutKept(
    deltaRuleOp({ q, k, v, beta, erase, logDecay, initialState, ...sequenceTensors(sequences) }, attrs),
  );
}
