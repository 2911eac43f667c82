/** Gradients by central differences, to hold derived gradients against. */
import { nd, type NdArray } from './array.ts';

/**
 * (f(x + step) − f(x − step)) / (2 step) for every entry of every named input; 2 evaluations of `f` an entry.
 * In float64 with values near 1 the default step leaves errors near 1e-10.
 */
export function centralDifferences<Name extends string>(
  f: (inputs: Record<Name, NdArray>) => number,
  inputs: Readonly<Record<Name, NdArray>>,
  step = 1e-5,
): Record<Name, NdArray> {
  const gradients = {} as Record<Name, NdArray>;
  for (const name of Object.keys(inputs) as Name[]) {
    const original = inputs[name];
    const shifted = nd(original.shape, original.data);
    const evaluate = (i: number, value: number): number => {
      shifted.data[i] = value;
      const result = f({ ...inputs, [name]: shifted });
      shifted.data[i] = original.data[i]!;
      return result;
    };
    gradients[name] = nd(
      original.shape,
      original.data.map((value, i) => (evaluate(i, value + step) - evaluate(i, value - step)) / (2 * step)),
    );
  }
  return gradients;
}
