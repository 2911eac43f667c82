// What the two memories have the Fenwick tree hold: chunks of tokens summed up, and single tokens.
import {
  concat,
  exp,
  matMul,
  mul,
  oneHot,
  range,
  reshape,
  slice,
  sub,
  transpose,
  type Tensor,
} from '@mnemix/tensor';
import { chunkDecay } from '../portable/decay.ts';
import { lowerTriangle } from '../portable/triangular.ts';
import { solveRight } from './solve.ts';
import { tokenDecay } from './weights.ts';

/** P chunks of C tokens; q is scaled. Slots without a token hold zeros. */
export interface Chunks {
  /** [P, C, dk]. */
  readonly q: Tensor;
  readonly k: Tensor;
  /** [P, C, dv]. */
  readonly v: Tensor;
  /** [P, C, 1]. */
  readonly logDecay: Tensor;
  /** [P, C, 1]; given: the delta rule. */
  readonly beta?: Tensor | undefined;
}

/**
 * What a chunk does to a state S that enters it: o = reads S + scores values, S ← transition S + keys values.
 */
export interface ChunkSummary {
  /** [P, C, C], lower triangular. */
  readonly scores: Tensor;
  /** [P, C, dv]. */
  readonly values: Tensor;
  /** [P, C, dk]. */
  readonly reads: Tensor;
  /** [P, dk, C]. */
  readonly keys: Tensor;
  /** [P, dk, dk], or [P, 1, 1] where it is a multiple of the identity. */
  readonly transition: Tensor;
}

export const summariseChunks = (chunks: Chunks): ChunkSummary =>
  chunks.beta ? summariseDelta(chunks, chunks.beta) : summariseDecay(chunks);

/** A_t = e^g, with scores e^{b_i − b_j} q_i·k_j; b is the running sum of the gates. */
function summariseDecay({ q, k, v, logDecay }: Chunks): ChunkSummary {
  const decay = chunkDecay(logDecay, logDecay.shape[1] as number);
  return {
    scores: mul(matMul(q, k, false, true), tokenDecay(logDecay)),
    values: v,
    reads: decay.throughToken(q),
    keys: transpose(decay.afterToken(k), [0, 2, 1]),
    transition: decay.whole as Tensor,
  };
}

/**
 * A_t = e^g (I − β k kᵀ). With L_ij = e^{b_i − b_j} β_i k_i·k_j below the diagonal, A_ij = e^{b_i − b_j}
 * q_i·k_j on it and below, and F = [A; (e^{b_C − b} K)ᵀ] (I + L)^{-1}, the upper rows of F are the scores of
 * the values βv and the lower ones their keys; the same rows of [e^b Q; e^{b_C} I] − F (e^b βK) are the reads
 * of the entering state and its transition.
 */
function summariseDelta({ q, k, v, logDecay }: Chunks, beta: Tensor): ChunkSummary {
  const [chunks, size, dk] = k.shape as [number, number, number];
  const decay = chunkDecay(logDecay, size);
  const between = tokenDecay(logDecay);
  const erase = mul(k, beta);
  const strict = mul(mul(matMul(erase, k, false, true), between), lowerTriangle(size));
  const read = mul(matMul(q, k, false, true), between);
  const solved = solveRight(concat([read, transpose(decay.afterToken(k), [0, 2, 1])], 1), strict);
  const kept = concat([decay.throughToken(q), mul(decay.whole as Tensor, identity(dk))], 1);
  const onState = sub(kept, matMul(solved, decay.throughToken(erase)));
  const upper = (x: Tensor) => slice(x, [0, 0, 0], [chunks, size, x.shape[2] as number]);
  const lower = (x: Tensor) => slice(x, [0, size, 0], [chunks, dk, x.shape[2] as number]);
  return {
    scores: upper(solved),
    values: mul(v, beta),
    reads: upper(onState),
    keys: lower(solved),
    transition: lower(onState),
  };
}

/** I, [n, n]. */
export const identity = (size: number): Tensor => oneHot(range(0, size, 1, 'int32'), size);

/**
 * One token: the memory behind its transition, and its write.
 *
 * @param memory [lanes, L, dk, dv]
 * @param token k [lanes, 1, dk], v [lanes, 1, dv], logDecay and beta [lanes, 1, 1]
 * @returns the memory, and the write [lanes, dk, dv]
 */
export function stepToken(
  memory: Tensor,
  { k, v, logDecay, beta }: Omit<Chunks, 'q'>,
): { memory: Tensor; write: Tensor } {
  const [lanes, , dk] = k.shape as [number, number, number];
  const decayed = mul(memory, reshape(exp(logDecay), [lanes, 1, 1, 1]));
  const column = reshape(k, [lanes, dk, 1]);
  if (!beta) return { memory: decayed, write: mul(column, v) };
  const strong = mul(column, beta);
  const erased = matMul(reshape(k, [lanes, 1, 1, dk]), decayed);
  return {
    memory: sub(decayed, mul(reshape(strong, [lanes, 1, dk, 1]), erased)),
    write: mul(strong, v),
  };
}
