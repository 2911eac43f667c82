// Elementwise activations of queries and keys, by fla's names.
import { add, exp, greater, minimum, relu, silu, where, type Tensor } from '@mnemix/tensor';

/** elu(x) + 1: x + 1 for x > 0, eˣ elsewhere; the exponential never sees a positive number. */
export const eluPlusOne = <T extends Tensor>(x: T): T =>
  where(greater(x, 0), add(x, 1), exp(minimum(x, 0))) as T;

export const activations = {
  silu,
  relu,
  /** elu(x) + 1, which is what fla calls `elu` here: positive, so that a sum of entries cannot vanish. */
  elu: eluPlusOne,
  identity: <T extends Tensor>(x: T): T => x,
} as const satisfies Record<string, <T extends Tensor>(x: T) => T>;

export type Activation = keyof typeof activations;
