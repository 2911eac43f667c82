// Inputs and outputs of the forms of log-linear attention, and where the sequences stand.
import {
  add,
  cast,
  div,
  floor,
  mul,
  noGrad,
  reshape,
  split,
  sub,
  tile,
  zeros,
  type Tensor,
} from '@mnemix/tensor';
import type { SequenceTensors } from '../portable/chunk-layout.ts';

/** Tensors of rows: see `logLinearDecay`. */
export type LogLinearInputs = {
  q: Tensor;
  k: Tensor;
  v: Tensor;
  logDecay: Tensor;
  levelScales: Tensor;
  beta?: Tensor | undefined;
  memory?: Tensor | undefined;
  /** [S], given with `memory`. */
  position?: Tensor | undefined;
} & SequenceTensors;

export type LogLinearOutputs = { o: Tensor; memory: Tensor };

/** Positions in each lane (sequence and head), [lanes, 1]. */
export interface Places {
  /** The first token of this call. */
  readonly first: Tensor;
  /** Its last token; where there is none, that of an earlier call, or −1. */
  readonly last: Tensor;
}

/** Where the sequences stand, for each of their heads. */
export const placesOf = ({ position, lengths }: LogLinearInputs, heads: number): Places =>
  noGrad(() => {
    const count = lengths.size;
    const perLane = (x: Tensor) => reshape(tile(reshape(x, [count, 1]), [1, heads]), [count * heads, 1]);
    const start = position ?? zeros([count]);
    return {
      first: perLane(start),
      last: perLane(sub(add(start, cast(lengths, 'float32')), 1)),
    };
  });

/**
 * ⌊x / size⌋ for whole numbers x, a constant to gradients. Half of one keeps the division clear of rounding.
 */
export const quotient = (x: Tensor, size: number): Tensor => floor(noGrad(() => div(add(x, 0.5), size)));

/** x − size · ⌊x / size⌋. */
export const remainder = (x: Tensor, size: number): Tensor =>
  noGrad(() => sub(x, mul(quotient(x, size), size)));

/**
 * x [n·lanes, …] in its n parts. A single part is x itself: tfjs has no gradient of a split that splits
 * nothing.
 */
export const eachOf = (x: Tensor, lanes: number): Tensor[] =>
  x.shape[0] === lanes ? [x] : split(x, (x.shape[0] as number) / lanes, 0);
