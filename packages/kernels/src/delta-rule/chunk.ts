// The delta rule in chunks (WY form): what the tokens of a chunk correct in each other's writes is a triangular system,
// solved for all chunks at once; only the correction against the entering state goes chunk after chunk.
//
// An erase key that sees the state before its token's decay sees it as the token before left it. So within a chunk it is
// taken as a second query of that token: all scores then decay alike, and what takes no decay stands by itself.
import {
  add,
  concat,
  matMul,
  mul,
  oneHot,
  range,
  reshape,
  sub,
  sum,
  zeros,
  type Tensor,
} from '@mnemix/tensor';
import { earlier, later } from '../diagonal-plus-low-rank/chunk.ts';
import { chunkLayout, fittingChunkSize, type ChunkLayout } from '../portable/chunk-layout.ts';
import { chunkDecay, type Decay, type Scores } from '../portable/decay.ts';
import { decayed, perChunk } from '../portable/state-scan.ts';
import { solveUnitLower, unitLower, type UnitLower } from '../portable/triangular.ts';
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
  /** Rows of tokens as rows of the last token whose decay an erase key sees, its own or the one before; and back. */
  readonly toSeen: (x: Tensor) => Tensor;
  readonly fromSeen: (x: Tensor) => Tensor;
  readonly decay: Decay;
  readonly scores: Scores;
  /** Decay from the state that enters the chunk to what an erase key sees. */
  readonly toErase: (x: Tensor) => Tensor;
  /** I + L with L = ⟨E,K⟩^ρ, whose inverse is T. */
  readonly system: UnitLower;
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
  const scores = decay.scores('through');
  const before = attrs.eraseBeforeDecay;
  const [toSeen, fromSeen] = before ? [later, earlier] : [same, same];
  const seen = toSeen(e);
  const eraseScores = scores.of(seen, k);
  return {
    layout,
    q: mul(layout.split(inputs.q), attrs.scale),
    k,
    v: layout.split(inputs.v),
    beta,
    erase,
    e,
    toSeen,
    fromSeen,
    decay,
    scores,
    toErase: before ? decay.beforeToken : decay.throughToken,
    system: unitLower(before ? earlier(add(eraseScores, onDiagonal(ownScore(seen, k)))) : eraseScores),
    initial: inputs.initialState
      ? reshape(inputs.initialState, [layout.lanes, dk, dv])
      : zeros([layout.lanes, dk, dv]),
  };
}

const same = (x: Tensor): Tensor => x;

/** What each token's x has to do with its own y, x·y without decay: [P, C, 1]. */
export const ownScore = (x: Tensor, y: Tensor): Tensor => sum(mul(x, y), 2, true);

/** [P, C, 1] → [P, C, C]. */
function onDiagonal(x: Tensor): Tensor {
  const size = x.shape[1] as number;
  return mul(x, oneHot(range(0, size, 1, 'int32'), size));
}

/** The chunk form, forward: V̂ = T (Y − (E⊙e^ρ) S), O = (Q⊙e^b) S + ⟨Q,K⟩^b V̂, and of each token's own write (q·k) v̂. */
export function deltaRuleChunk(inputs: DeltaRuleInputs, attrs: DeltaRuleAttrs): DeltaRuleOutputs {
  const { layout, q, k, v, beta, e, decay, scores, toErase, system, initial } = deltaRuleChunks(
    inputs,
    attrs,
  );
  const { lanes } = layout;
  const written = perChunk(solveUnitLower(system, beta ? mul(v, beta) : v), lanes);
  const erased = perChunk(solveUnitLower(system, toErase(e)), lanes);
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
  const ofOthers = add(matMul(decay.throughToken(q), concat(entering, 0)), matMul(scores.of(q, k), writes));
  const own = mul(ownScore(q, k), writes);
  return {
    o: layout.join(add(ofOthers, own)),
    state: reshape(state, [attrs.count, lanes / attrs.count, k.shape[2] as number, v.shape[2] as number]),
    corrected: layout.join(writes),
  };
}
