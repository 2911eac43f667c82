// TTT-linear as a descent. A one behind every key and query makes the bias c the last row of the memory W̃ =
// [W; c]:
//
//     G_j = ∂ℓ/∂z at W̃ᵀk̃_j        A_i = Σ_{j≤i} k̃_j G_jᵀ        o_i = (W̃ − η_i A_i)ᵀ q̃_i
//
// and W̃ ← W̃ − η_C A_C behind the last of C tokens. Slots without a token have k̃ = q̃ = 0, the ones
// included.
import {
  add,
  cast,
  concat,
  equal,
  fill,
  gatherRows,
  less,
  matMul,
  mul,
  neg,
  ones,
  pad,
  range,
  reshape,
  slice,
  square,
  stopGradient,
  sub,
  tile,
  transpose,
  where,
  zeros,
  type Tensor,
} from '@mnemix/tensor';
import { chunkBorder } from '../portable/chunk-border.ts';
import { chunkLayout, type ChunkLayout } from '../portable/chunk-layout.ts';
import { descent } from '../portable/descent.ts';
import { lowerTriangle } from '../portable/triangular.ts';
import type { Sequences } from '../sequences.ts';

export interface TttLinearInputs {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  readonly eta: Tensor;
  readonly normWeight: Tensor;
  readonly normBias: Tensor;
  /** W̃ at the start of each sequence's mini-batch, [S, H, D + 1, D]. */
  readonly memory: Tensor;
  /** A of its tokens so far, in the shape of `memory`, and their number [S]: both, or none. */
  readonly gradients?: Tensor | undefined;
  readonly phase?: Tensor | undefined;
}

export interface TttLinearSettings {
  readonly miniBatch: number;
  readonly scale: number;
  readonly eps: number;
}

export interface TttLinearOutputs {
  readonly o: Tensor;
  readonly memory: Tensor;
  readonly gradients: Tensor;
  readonly phase: Tensor;
}

export function tttLinearChunks(
  { q, k, v, eta, normWeight, normBias, ...carried }: TttLinearInputs,
  sequences: Sequences,
  { miniBatch, scale, eps }: TttLinearSettings,
): TttLinearOutputs {
  const [rows, heads, width] = q.shape as [number, number, number];
  const phase = carried.phase && stopGradient(carried.phase);
  // A single token is a chunk of its own, wherever in its mini-batch it lies.
  const single = sequences.maxLength === 1;
  const slots = single ? 1 : miniBatch;
  const layout = chunkLayout(sequences, heads, slots, single ? undefined : phase);
  const { lanes, chunks } = layout;

  const real = layout.split(ones([rows, heads]));
  const queries = concat([layout.split(mul(q, scale)), real], 2);
  const keys = concat([layout.split(k), real], 2);
  const steps = layout.split(eta);
  const atLast = (x: Tensor) => slice(x, [0, slots - 1, 0], [chunks * lanes, 1, 1]);
  const completes = single
    ? mul(real, isLast(phase ?? zeros([sequences.count]), miniBatch, heads))
    : atLast(real);
  const update = mul(atLast(steps), completes);

  // The first mini-batch may have gathered some of A in earlier calls: it is part of the update, and each
  // token reads it with an η of its own.
  const first = (x: Tensor) => slice(x, [0, 0, 0], [lanes, x.shape[1] as number, x.shape[2] as number]);
  const memory = reshape(carried.memory, [lanes, width + 1, width]);
  const gathered = carried.gradients && reshape(carried.gradients, memory.shape);
  const result = descent(
    {
      reads: queries,
      scores: mul(matMul(queries, keys, false, true), mul(neg(steps), upToToken(slots))),
      keys,
      writes: mul(keys, neg(update)),
      offset: layout.split(mul(add(sub(k, v), normBias), normWeight)),
      squaredWeight: tile(reshape(square(normWeight), [heads, 1, width]), [sequences.count, 1, 1]),
      state: gathered ? sub(memory, mul(gathered, first(update))) : memory,
      anchor: gathered && memory,
    },
    { eps },
  );
  const correction = gathered && mul(matMul(first(queries), gathered), sub(first(update), first(steps)));

  const border = chunkBorder(sequences.lengths, miniBatch, phase);
  const open = inOpenChunk(layout, border.chunk, heads);
  const written = matMul(open(keys), open(result.gradients), true, false);
  const pending = gathered ? add(written, mul(gathered, sub(1, first(completes)))) : written;
  return {
    o: layout.join(correction ? add(result.o, toFirst(correction, chunks * lanes)) : result.o),
    memory: reshape(result.state, carried.memory.shape),
    gradients: reshape(pending, carried.memory.shape),
    phase: border.phase,
  };
}

/** Whether the token behind `phase` others is the last of a mini-batch: [S·H, 1, 1]. */
function isLast(phase: Tensor, miniBatch: number, heads: number): Tensor {
  const last = cast(equal(phase, miniBatch - 1), 'float32');
  return reshape(tile(reshape(last, [-1, 1]), [1, heads]), [-1, 1, 1]);
}

/** 1 where j ≤ i: [i, j]. */
const upToToken = (size: number): Tensor => sub(1, transpose(lowerTriangle(size)));

/** [P, C, d] → [S·H, C, d]: the chunk `chunk` [S] of each sequence, zeros if it has not begun. */
function inOpenChunk({ chunks, lanes, chunkSize }: ChunkLayout, chunk: Tensor, heads: number) {
  const count = chunk.size;
  const row = add(mul(chunk, count), range(0, count));
  const index = cast(where(less(chunk, chunks), row, fill([count], -1)), 'int32');
  return (x: Tensor): Tensor => {
    const width = x.shape[2] as number;
    const bySequence = reshape(x, [chunks * count, heads * chunkSize * width]);
    return reshape(gatherRows(bySequence, index), [lanes, chunkSize, width]);
  };
}

/** What belongs to the first chunks, with zeros for the others behind it. */
const toFirst = (x: Tensor, count: number): Tensor =>
  pad(x, [
    [0, count - (x.shape[0] as number)],
    [0, 0],
    [0, 0],
  ]);
