// S ← S Diag(e^g) + k vᵀ in chunks: all but the scan of their states is products over all chunks at once.
//
// Seen from the values, Sᵀ is a memory whose rows decay, as in ../diagonal-decay: it is kept in that form,
// [dv, dk], and written with v at the place of the key. The score of two tokens takes no decay here, but what
// is read by it does: Σ_j P_ij v_j ⊙ e^{b_i − b_j}, which is how the gradient of decayed scores comes back to
// one of their factors.
import { add, matMul, mul, reshape, sum, transpose, zeros, type Tensor } from '@mnemix/tensor';
import { chunkLayout, fittingChunkSize, type ChunkLayout } from '../portable/chunk-layout.ts';
import { chunkDecay, type Decay, type Scores } from '../portable/decay.ts';
import type { ScanAttrs } from '../portable/scan-options.ts';
import { scanStates, type StateScan } from '../portable/state-scan.ts';
import type { ValueDecayInputs, ValueDecayOutputs } from './op.ts';

/** What the forward and the backward pass have in common. All tensors are in chunks, q is scaled. */
export interface ValueDecayChunks {
  readonly layout: ChunkLayout;
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  readonly decay: Decay;
  /** Of pairs of values, or of their gradients: [P, C, dv] each. */
  readonly scores: Scores;
  /** P = QKᵀ, [P, C, C]; of all tokens, the later ones included. */
  readonly pairs: Tensor;
  /** q·k of each token with itself, [P, C, 1]. */
  readonly ownScore: Tensor;
  /** The states' transposes, [P, dv, dk]. */
  readonly states: StateScan;
  /** What is read of the state that enters the chunk, [P, C, dv]. */
  readonly byState: Tensor;
  /** What is read of the chunk's earlier tokens, [P, C, dv]. */
  readonly byScores: Tensor;
}

export function valueDecayChunks(inputs: ValueDecayInputs, attrs: ScanAttrs): ValueDecayChunks {
  const [, heads, dk] = inputs.q.shape as [number, number, number];
  const dv = inputs.v.shape[2] as number;
  const layout = chunkLayout({ ...inputs, ...attrs }, heads, fittingChunkSize(attrs));
  const q = mul(layout.split(inputs.q), attrs.scale);
  const k = layout.split(inputs.k);
  const v = layout.split(inputs.v);
  const decay = chunkDecay(layout.split(inputs.logDecay), layout.chunkSize);
  const scores = decay.scores('through');
  const pairs = matMul(q, k, false, true);
  const initial = inputs.initialState
    ? transpose(reshape(inputs.initialState, [layout.lanes, dk, dv]), [0, 2, 1])
    : zeros([layout.lanes, dv, dk]);
  const states = scanStates(matMul(decay.afterToken(v), k, true, false), decay.whole, initial);
  return {
    layout,
    q,
    k,
    v,
    decay,
    scores,
    pairs,
    ownScore: sum(mul(q, k), 2, true),
    states,
    byState: decay.throughToken(matMul(q, states.entering, false, true)),
    byScores: scores.pullX(pairs, v),
  };
}

/** The chunk form, forward: O_i = e^{b_i} ⊙ (Sᵀq_i) + Σ_{j≤i} (q_i·k_j) v_j ⊙ e^{b_i − b_j}. */
export function valueDecayChunk(inputs: ValueDecayInputs, attrs: ScanAttrs): ValueDecayOutputs {
  const { layout, v, ownScore, states, byState, byScores } = valueDecayChunks(inputs, attrs);
  const [, heads, dk] = inputs.q.shape as [number, number, number];
  return {
    o: layout.join(add(add(byState, byScores), mul(ownScore, v))),
    state: reshape(transpose(states.final, [0, 2, 1]), [attrs.count, heads, dk, inputs.v.shape[2] as number]),
  };
}
