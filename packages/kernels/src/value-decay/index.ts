// S ← S Diag(e^g) + k vᵀ, o = Sᵀq: a memory whose slots forget, the first pass of Gated Slot Attention.
import { checkShapes, type Tensor } from '@mnemix/tensor';
import { emptyScan, scanAttrs, sequenceTensors, type ScanOptions } from '../portable/scan-options.ts';
import { valueDecayOp } from './op.ts';

export interface ValueDecayArguments {
  /** Queries [N, H, dk]. */
  readonly q: Tensor;
  /** Keys [N, H, dk]. */
  readonly k: Tensor;
  /** Values [N, H, dv]. */
  readonly v: Tensor;
  /** g ≤ 0, the natural logarithm of the decay, one for each value channel: [N, H, dv]. */
  readonly logDecay: Tensor;
  /** [S, H, dk, dv]; zeros if left out. */
  readonly initialState?: Tensor | undefined;
}

/**
 * The value-decay memory: for each sequence and head, token by token,
 *
 *     S ← S Diag(e^g) + k vᵀ        o = scale · Sᵀq
 *
 * Where the value channels are a memory's slots and v the strengths with which a token writes to each, the
 * columns of S are the slots' keys, and o says how well each slot fits the query: "Gated Slot Attention for
 * Efficient Linear-Time Sequence Modeling" (arXiv 2409.07146). Its second pass, over the slots' values, is
 * `diagonalDecay`. Differentiable in all tensors.
 *
 * @returns o [N, H, dv], 0 in rows of no sequence; state [S, H, dk, dv] after each sequence's last token
 * @throws MnemixError `shape` or `config`
 */
export function valueDecay(tensors: ValueDecayArguments, options: ScanOptions): { o: Tensor; state: Tensor } {
  const { q, k, v, logDecay, initialState } = tensors;
  const { sequences } = options;
  const sizes = checkShapes('valueDecay', {
    q: [q, [sequences.rows, 'H', 'dk']],
    k: [k, [sequences.rows, 'H', 'dk']],
    v: [v, [sequences.rows, 'H', 'dv']],
    logDecay: [logDecay, [sequences.rows, 'H', 'dv']],
    initialState: [initialState, [sequences.count, 'H', 'dk', 'dv']],
  });
  const attrs = scanAttrs('valueDecay', options, sizes);
  if (sequences.maxLength === 0) return emptyScan(initialState, sequences, sizes);
  return valueDecayOp({ q, k, v, logDecay, initialState, ...sequenceTensors(sequences) }, attrs);
}
