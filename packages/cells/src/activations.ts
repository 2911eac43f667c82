// Elementwise activations of queries and keys, by fla's names.
import { exp, greater, minimum, relu, silu, sub, where, type Tensor } from '@mnemix/tensor';

/** x for x > 0, eˣ − 1 elsewhere; the exponential never sees a positive number. */
export const elu = <T extends Tensor>(x: T): T => where(greater(x, 0), x, sub(exp(minimum(x, 0)), 1)) as T;

export const activations = {
  silu,
  relu,
  elu,
  identity: <T extends Tensor>(x: T): T => x,
} as const satisfies Record<string, <T extends Tensor>(x: T) => T>;

export type Activation = keyof typeof activations;
