// The gradient of the log decay in the chunk forms.
import { add, cumsum, mul, reshape, sub, sum, type Tensor } from '@mnemix/tensor';
import type { ChunkLayout } from './chunk-layout.ts';
import { decayed } from './state-scan.ts';

/** A tensor that reads or writes the memory, and its gradients, all [P, C, dk]. */
interface Access {
  readonly x: Tensor;
  /** By way of the state that enters (reads) or leaves (writes) the chunk. */
  readonly byState: Tensor;
  /** By way of the scores with the chunk's other tokens. */
  readonly byScores: Tensor;
}

export interface GateGradientParts {
  /** [N, H] or [N, H, dk]. */
  readonly logDecay: Tensor | undefined;
  readonly layout: ChunkLayout;
  /** `ownGate`: the token's own gate decays what it reads. */
  readonly reads: readonly (Access & { readonly ownGate: boolean })[];
  readonly writes: readonly Access[];
  readonly throughChunk: {
    readonly entering: Tensor;
    readonly whole: Tensor | undefined;
    readonly dLeaving: Tensor;
  };
}

/**
 * Gradient of the log decay, in its shape. The derivative of e^{b_i − b_j} with respect to each gate between j and i is
 * that number itself, so what a gate gets is the sum over everything that passes through it:
 * - from the entering state to reads at or behind it, and from writes before it to the leaving state
 * - from the entering to the leaving state
 * - from writes before it to reads behind it, within the chunk: reads behind it less writes behind it
 */
export function gateGradient({
  logDecay,
  layout,
  reads,
  writes,
  throughChunk,
}: GateGradientParts): Tensor | undefined {
  if (logDecay === undefined) return undefined;
  const perGate = (x: Tensor) => (logDecay.rank === 3 ? x : sum(x, 2, true));
  const { entering, whole, dLeaving } = throughChunk;
  const passing = sum(mul(decayed(entering, whole), dLeaving), 2);
  const fromReads = reads.map(({ x, byState, byScores, ownGate }) =>
    cumsum(perGate(mul(x, add(byState, byScores))), 1, { reverse: true, exclusive: !ownGate }),
  );
  const fromWrites = writes.map(({ x, byState, byScores }) =>
    sub(
      cumsum(perGate(mul(x, byState)), 1, { exclusive: true }),
      cumsum(perGate(mul(x, byScores)), 1, { reverse: true }),
    ),
  );
  const always = perGate(reshape(passing, [-1, 1, passing.shape[1] as number]));
  const total = [...fromWrites, ...fromReads].reduce((all, part) => add(all, part), always);
  return reshape(layout.join(total), logDecay.shape);
}
