// Titans as a descent: the state stacks the memory M and, where there is momentum, Z; a token writes −2 k Gᵀ.
import {
  add,
  cast,
  concat,
  matMul,
  mul,
  ones,
  range,
  reshape,
  square,
  stopGradient,
  sub,
  tile,
  zerosLike,
  type Tensor,
} from '@mnemix/tensor';
import { chunkBorder } from '../portable/chunk-border.ts';
import { chunkLayout } from '../portable/chunk-layout.ts';
import { blocksOf } from '../portable/descent-forward.ts';
import { descent } from '../portable/descent.ts';
import type { Sequences } from '../sequences.ts';
import { titansWeights } from './gates.ts';

export interface TitansInputs {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  readonly alpha: Tensor;
  readonly theta: Tensor;
  readonly eta?: Tensor | undefined;
  readonly normWeight: Tensor;
  readonly normBias: Tensor;
  /** M itself, [S, H, D, D]. */
  readonly memory: Tensor;
  /** Z; zeros if left out. */
  readonly momentum?: Tensor | undefined;
  /** M at the start of each sequence's chunk; `memory` if left out. */
  readonly anchor?: Tensor | undefined;
  /** Tokens of that chunk that are behind, [S]. */
  readonly phase?: Tensor | undefined;
}

export interface TitansSettings {
  readonly chunkSize: number;
  readonly scale: number;
  readonly eps: number;
}

export interface TitansOutputs {
  readonly o: Tensor;
  readonly memory: Tensor;
  readonly momentum?: Tensor;
  readonly anchor: Tensor;
  readonly phase: Tensor;
}

export function titansChunks(
  { q, k, v, alpha, theta, eta, normWeight, normBias, ...carried }: TitansInputs,
  sequences: Sequences,
  { chunkSize, scale, eps }: TitansSettings,
): TitansOutputs {
  const [rows, heads, width] = q.shape as [number, number, number];
  const { count, maxLength, lengths } = sequences;
  const phase = carried.phase && stopGradient(carried.phase);
  // A single token is a chunk of its own, wherever in its sequence's chunk it lies.
  const single = maxLength === 1;
  const layout = chunkLayout(sequences, heads, single ? 1 : chunkSize, single ? undefined : phase);
  const { lanes, split } = layout;
  const ofLanes = (x: Tensor) => reshape(x, [lanes, width, width]);
  const ofSequences = (x: Tensor) => reshape(x, carried.memory.shape);

  const { ofState, ofWrites, intoState, transition } = titansWeights({
    alpha: split(alpha),
    theta: split(theta),
    eta: eta && split(eta),
    real: split(ones([rows, heads])),
  });
  const queries = split(mul(q, scale));
  const keys = split(k);
  const memory = ofLanes(carried.memory);
  const momentum = carried.momentum ? ofLanes(carried.momentum) : zerosLike(memory);
  const border = chunkBorder(lengths, chunkSize, phase);
  const { o, state, anchor } = descent(
    {
      reads: weighted(queries, ofState),
      scores: mul(matMul(queries, keys, false, true), mul(ofWrites, -2)),
      keys,
      writes: weighted(
        keys,
        intoState.map((weight) => mul(weight, -2)),
      ),
      transition,
      offset: split(mul(add(sub(k, v), normBias), normWeight)),
      squaredWeight: tile(reshape(square(normWeight), [heads, 1, width]), [count, 1, 1]),
      state: eta ? concat([memory, momentum], 1) : memory,
      anchor: carried.anchor && ofLanes(carried.anchor),
      border: cast(add(mul(border.chunk, count), range(0, count)), 'int32'),
    },
    { eps },
  );
  const [finalMemory, finalMomentum] = blocksOf(state, width);
  return {
    o: layout.join(o),
    memory: ofSequences(finalMemory as Tensor),
    ...(finalMomentum && { momentum: ofSequences(finalMomentum) }),
    anchor: ofSequences(anchor),
    phase: border.phase,
  };
}

/** x [P, C, D] by each of b weights [P, C, 1]: [P, C, b·D]. */
const weighted = (x: Tensor, weights: readonly Tensor[]): Tensor => {
  const blocks = weights.map((weight) => mul(x, weight));
  return concat(blocks, 2);
};
