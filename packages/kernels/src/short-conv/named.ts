// Several convolutions as one op: each tensor of convolution i by its own name with i behind.
import type { Tensor } from '@mnemix/tensor';

export type Tensors = Record<string, Tensor>;

export interface PartsAttrs {
  /** Of each convolution. */
  readonly activations: readonly ('silu' | 'none')[];
}

export const nameOf = (name: string, i: number): string => `${name}${i}`;

/** The tensors of all parts in one record. */
export const named = (parts: readonly object[]): Tensors =>
  Object.fromEntries(
    parts.flatMap((part, i) =>
      Object.entries(part)
        .filter(([, tensor]) => tensor !== undefined)
        .map(([name, tensor]) => [nameOf(name, i), tensor]),
    ),
  );

/** What part i has of these names. */
export const partOf = <Name extends string>(
  tensors: Tensors,
  names: readonly Name[],
  i: number,
): Record<Name, Tensor> =>
  Object.fromEntries(names.map((name) => [name, tensors[nameOf(name, i)]])) as Record<Name, Tensor>;
