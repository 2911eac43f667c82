// S ← Diag(e^g) S + k vᵀ in chunks: all but the scan of the chunks' states is matrix products over all chunks at once.
import { add, matMul, mul, reshape, sum, tile, zeros, type Tensor } from '@mnemix/tensor';
import { chunkLayout, fittingChunkSize, type ChunkLayout } from '../portable/chunk-layout.ts';
import { chunkDecay, type Decay, type Scores } from '../portable/decay.ts';
import { scanStates, type StateScan } from '../portable/state-scan.ts';
import type { ScanAttrs } from '../portable/scan-options.ts';
import type { DiagonalDecayInputs, DiagonalDecayOutputs } from './op.ts';

/** What the forward and the backward pass have in common. All tensors are in chunks, q is scaled. */
export interface DiagonalDecayChunks {
  readonly layout: ChunkLayout;
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  /** q⊙u, by which a token's own write is read; q itself without a bonus. */
  readonly ownQuery: Tensor;
  /** u of the chunk's head, [P, 1, dk]. */
  readonly bonus: Tensor | undefined;
  readonly decay: Decay;
  readonly scores: Scores;
  /** Decay from the state that enters the chunk to a query. */
  readonly toQuery: (x: Tensor) => Tensor;
  readonly states: StateScan;
}

export function diagonalDecayChunks(inputs: DiagonalDecayInputs, attrs: ScanAttrs): DiagonalDecayChunks {
  const [, heads, dk] = inputs.q.shape as [number, number, number];
  const dv = inputs.v.shape[2] as number;
  const layout = chunkLayout({ ...inputs, ...attrs }, heads, fittingChunkSize(attrs));
  const k = layout.split(inputs.k);
  const v = layout.split(inputs.v);
  const decay = chunkDecay(inputs.logDecay && layout.split(inputs.logDecay), layout.chunkSize);
  const writes = matMul(decay.afterToken(k), v, true, false);
  const initial = inputs.initialState
    ? reshape(inputs.initialState, [layout.lanes, dk, dv])
    : zeros([layout.lanes, dk, dv]);
  const copies = layout.chunks * attrs.count;
  const bonus = inputs.bonus && reshape(tile(inputs.bonus, [copies, 1]), [copies * heads, 1, dk]);
  const q = mul(layout.split(inputs.q), attrs.scale);
  return {
    layout,
    q,
    k,
    v,
    ownQuery: bonus ? mul(q, bonus) : q,
    bonus,
    decay,
    scores: decay.scores(bonus ? 'before' : 'through'),
    toQuery: bonus ? decay.beforeToken : decay.throughToken,
    states: scanStates(writes, decay.whole, initial),
  };
}

/** The chunk form, forward: O = (Q⊙e^ρ) S + ⟨Q,K⟩^ρ V, and of each token's own write (q·k) v or, with a bonus, (q·(u⊙k)) v. */
export function diagonalDecayChunk(inputs: DiagonalDecayInputs, attrs: ScanAttrs): DiagonalDecayOutputs {
  const { layout, q, k, v, ownQuery, scores, toQuery, states } = diagonalDecayChunks(inputs, attrs);
  const [, heads, dk] = inputs.q.shape as [number, number, number];
  const earlier = add(matMul(toQuery(q), states.entering), matMul(scores.of(q, k), v));
  const own = mul(sum(mul(ownQuery, k), 2, true), v);
  return {
    o: layout.join(add(earlier, own)),
    state: reshape(states.final, [attrs.count, heads, dk, inputs.v.shape[2] as number]),
  };
}
