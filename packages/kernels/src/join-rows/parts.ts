// Tensors of a list by name, as ops want them: they have a fixed list of outputs.
import type { Tensor } from '@mnemix/tensor';

export type Parts = Record<string, Tensor>;

export const nameOf = (i: number): string => `part${i}`;

export const namesOf = (count: number): string[] => Array.from({ length: count }, (_, i) => nameOf(i));

export const named = (parts: readonly Tensor[]): Parts =>
  Object.fromEntries(parts.map((part, i) => [nameOf(i), part]));

/** What is made for a number of parts, once. */
export function byCount<Made>(make: (count: number) => Made): (count: number) => Made {
  const known = new Map<number, Made>();
  return (count) => {
    const made = known.get(count) ?? make(count);
    known.set(count, made);
    return made;
  };
}
