// Tensors of a list by name, as ops want them.
import type { Tensor } from '@mnemix/tensor';

export type Parts = Record<string, Tensor>;

export const nameOf = (i: number): string => `part${i}`;

export const namesOf = (count: number): string[] => Array.from({ length: count }, (_, i) => nameOf(i));

export const named = (parts: readonly Tensor[]): Parts =>
  Object.fromEntries(parts.map((part, i) => [nameOf(i), part]));
