// The delta rule in chunks (WY form): what the tokens of a chunk correct in each other's writes is a triangular system,
// solved for all chunks at once; only the correction against the entering state goes chunk after chunk.
import { add, concat, matMul, mul, reshape, sub, sum, zeros, type Tensor } from '@mnemix/tensor';
import { chunkLayout, fittingChunkSize, type ChunkLayout } from '../portable/chunk-layout.ts';
import { chunkDecay, type Decay, type Scores } from '../portable/decay.ts';
import { decayed, perChunk } from '../portable/state-scan.ts';
import { invertUnitLower } from '../portable/triangular.ts';
import type { DeltaRuleAttrs, DeltaRuleInputs, DeltaRuleOutputs } from './op.ts';

/** What the forward and the backward pass have in common. All tensors are in chunks, q is scaled. */
export interface DeltaRuleChunks {
  readonly layout: ChunkLayout;
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  /** [P, C, 1]. */
  readonly beta: Tensor | undefined;
  /** The erase key without β. */
  readonly erase: Tensor;
  /** The effective erase key e = β·erase. */
  readonly e: Tensor;
  readonly decay: Decay;
  readonly readScores: Scores;
  readonly eraseScores: Scores;
  /** Decay from the state that enters the chunk to what an erase key sees. */
  readonly toErase: (x: Tensor) => Tensor;
  /** T = (I + L)^{-1} with L = ⟨E,K⟩^ρ, [P, C, C]. */
  readonly solve: Tensor;
  readonly initial: Tensor;
}

export function deltaRuleChunks(inputs: DeltaRuleInputs, attrs: DeltaRuleAttrs): DeltaRuleChunks {
  const [, heads, dk] = inputs.q.shape as [number, number, number];
  const dv = inputs.v.shape[2] as number;
  const layout = chunkLayout({ ...inputs, ...attrs }, heads, fittingChunkSize(attrs));
  const k = layout.split(inputs.k);
  const beta = inputs.beta && layout.split(inputs.beta);
  const erase = inputs.erase ? layout.split(inputs.erase) : k;
  const e = beta ? mul(erase, beta) : erase;
  const decay = chunkDecay(inputs.logDecay && layout.split(inputs.logDecay), layout.chunkSize);
  const eraseScores = decay.scores(attrs.eraseBeforeDecay ? 'before' : 'through');
  return {
    layout,
    q: mul(layout.split(inputs.q), attrs.scale),
    k,
    v: layout.split(inputs.v),
    beta,
    erase,
    e,
    decay,
    readScores: decay.scores('through'),
    eraseScores,
    toErase: attrs.eraseBeforeDecay ? decay.beforeToken : decay.throughToken,
    solve: invertUnitLower(eraseScores.of(e, k)),
    initial: inputs.initialState
      ? reshape(inputs.initialState, [layout.lanes, dk, dv])
      : zeros([layout.lanes, dk, dv]),
  };
}

/** The chunk form, forward: V̂ = T (Y − (E⊙e^ρ) S), O = (Q⊙e^b) S + ⟨Q,K⟩^b V̂, and of each token's own write (q·k) v̂. */
export function deltaRuleChunk(inputs: DeltaRuleInputs, attrs: DeltaRuleAttrs): DeltaRuleOutputs {
  const { layout, q, k, v, beta, e, decay, readScores, toErase, solve, initial } = deltaRuleChunks(
    inputs,
    attrs,
  );
  const { lanes } = layout;
  const written = perChunk(matMul(solve, beta ? mul(v, beta) : v), lanes);
  const erased = perChunk(matMul(solve, toErase(e)), lanes);
  const keys = perChunk(decay.afterToken(k), lanes);
  const whole = decay.whole && perChunk(decay.whole, lanes);

  const entering: Tensor[] = [];
  let state = initial;
  const corrected = written.map((values, chunk) => {
    entering.push(state);
    const valuesLeft = sub(values, matMul(erased[chunk] as Tensor, state));
    state = add(decayed(state, whole?.[chunk]), matMul(keys[chunk] as Tensor, valuesLeft, true, false));
    return valuesLeft;
  });

  const writes = concat(corrected, 0);
  const earlier = add(
    matMul(decay.throughToken(q), concat(entering, 0)),
    matMul(readScores.of(q, k), writes),
  );
  const own = mul(sum(mul(q, k), 2, true), writes);
  return {
    o: layout.join(add(earlier, own)),
    state: reshape(state, [attrs.count, lanes / attrs.count, k.shape[2] as number, v.shape[2] as number]),
    corrected: layout.join(writes),
  };
}
