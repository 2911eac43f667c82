// Diagonal plus low rank in chunks: what the tokens of a chunk recall of each other's writes is a triangular
// system, solved for all chunks at once; only what they recall of the entering state goes chunk after chunk.
//
// A token recalls the state as the token before left it. So within a chunk its a is taken as a second query
// of that token, next_i = a_{i+1}: all scores then decay alike, with what takes no decay on the diagonal.
import {
  add,
  concat,
  matMul,
  mul,
  neg,
  oneHot,
  pad,
  range,
  reshape,
  slice,
  sum,
  zeros,
  type Tensor,
} from '@mnemix/tensor';
import { chunkLayout, fittingChunkSize, type ChunkLayout } from '../portable/chunk-layout.ts';
import { chunkDecay, type Decay, type Scores } from '../portable/decay.ts';
import type { ScanAttrs } from '../portable/scan-options.ts';
import { decayed, perChunk } from '../portable/state-scan.ts';
import { solveUnitLower, unitLower, type UnitLower } from '../portable/triangular.ts';
import type { DiagonalPlusLowRankInputs, DiagonalPlusLowRankOutputs } from './op.ts';

/** What the forward and the backward pass have in common. All tensors are in chunks, q is scaled. */
export interface DiagonalPlusLowRankChunks {
  readonly layout: ChunkLayout;
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  readonly a: Tensor;
  readonly b: Tensor;
  /** a of the token behind. */
  readonly next: Tensor;
  readonly decay: Decay;
  readonly scores: Scores;
  /** What each token reads of what each token writes at k and at b, [P, C, C]. */
  readonly reads: { readonly k: Tensor; readonly b: Tensor };
  /** The same of what it recalls: ⟨A,K⟩^p and N = ⟨A,B⟩^p. */
  readonly recalls: { readonly k: Tensor; readonly b: Tensor };
  /** I − N, whose inverse is T. */
  readonly system: UnitLower;
  readonly initial: Tensor;
}

export function diagonalPlusLowRankChunks(
  inputs: DiagonalPlusLowRankInputs,
  attrs: ScanAttrs,
): DiagonalPlusLowRankChunks {
  const [, heads, dk] = inputs.q.shape as [number, number, number];
  const dv = inputs.v.shape[2] as number;
  const layout = chunkLayout({ ...inputs, ...attrs }, heads, fittingChunkSize(attrs));
  const { chunkSize, lanes } = layout;
  const q = mul(layout.split(inputs.q), attrs.scale);
  const k = layout.split(inputs.k);
  const a = layout.split(inputs.a);
  const b = layout.split(inputs.b);
  const next = later(a);
  const decay = chunkDecay(inputs.logDecay && layout.split(inputs.logDecay), chunkSize);
  const scores = decay.scores('through');
  const diagonal = oneHot(range(0, chunkSize, 1, 'int32'), chunkSize);
  const all = (x: Tensor, y: Tensor) => add(scores.of(x, y), mul(sum(mul(x, y), 2, true), diagonal));
  const recalls = { k: earlier(all(next, k)), b: earlier(all(next, b)) };
  return {
    layout,
    q,
    k,
    v: layout.split(inputs.v),
    a,
    b,
    next,
    decay,
    scores,
    reads: { k: all(q, k), b: all(q, b) },
    recalls,
    system: unitLower(neg(recalls.b)),
    initial: inputs.initialState ? reshape(inputs.initialState, [lanes, dk, dv]) : zeros([lanes, dk, dv]),
  };
}

/** Each token's row of x [P, C, d] from the token behind it; zeros for the chunk's last. */
export function later(x: Tensor): Tensor {
  const [chunks, size, width] = x.shape as [number, number, number];
  return size === 1 ? zeros(x.shape) : pad(slice(x, [0, 1, 0], [chunks, size - 1, width]), padding(0, 1));
}

/** Each token's row from the token before it; zeros for the chunk's first. */
export function earlier(x: Tensor): Tensor {
  const [chunks, size, width] = x.shape as [number, number, number];
  return size === 1 ? zeros(x.shape) : pad(slice(x, [0, 0, 0], [chunks, size - 1, width]), padding(1, 0));
}

const padding = (before: number, behind: number): [number, number][] => [
  [0, 0],
  [before, behind],
  [0, 0],
];

/**
 * The chunk form, forward: V̂ = T (⟨A,K⟩^p V + (A⊙e^p) S), O = (Q⊙e^b) S + ⟨Q,K⟩^b V + ⟨Q,B⟩^b V̂, where a
 * query meets its own token's writes, too.
 */
export function diagonalPlusLowRankChunk(
  inputs: DiagonalPlusLowRankInputs,
  attrs: ScanAttrs,
): DiagonalPlusLowRankOutputs {
  const chunks = diagonalPlusLowRankChunks(inputs, attrs);
  const { layout, q, k, v, a, b, decay, reads, recalls, system, initial } = chunks;
  const { lanes } = layout;
  const ofChunk = perChunk(solveUnitLower(system, matMul(recalls.k, v)), lanes);
  const ofState = perChunk(solveUnitLower(system, decay.beforeToken(a)), lanes);
  const written = perChunk(matMul(decay.afterToken(k), v, true, false), lanes);
  const keysBack = perChunk(decay.afterToken(b), lanes);
  const whole = decay.whole && perChunk(decay.whole, lanes);

  const entering: Tensor[] = [];
  let state = initial;
  const recalled = ofChunk.map((earlierWrites, chunk) => {
    entering.push(state);
    const values = add(earlierWrites, matMul(ofState[chunk] as Tensor, state));
    const writtenBack = matMul(keysBack[chunk] as Tensor, values, true, false);
    state = add(add(decayed(state, whole?.[chunk]), written[chunk] as Tensor), writtenBack);
    return values;
  });

  const values = concat(recalled, 0);
  const ofWrites = add(matMul(reads.k, v), matMul(reads.b, values));
  return {
    o: layout.join(add(matMul(decay.throughToken(q), concat(entering, 0)), ofWrites)),
    state: reshape(state, [attrs.count, lanes / attrs.count, k.shape[2] as number, v.shape[2] as number]),
    recalled: layout.join(values),
  };
}
