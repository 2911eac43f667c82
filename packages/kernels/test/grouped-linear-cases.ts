// Groups of rows that a grouped linear map has to cope with, its inputs for them, and its definition in float64.
import { linear, nd, rows, seededRandom, type NdArray } from '@mnemix/testkit';
import { split, unstack, type Tensor } from '@mnemix/tensor';
import type { GroupedLayer, Segments } from '../src/index.ts';
import { float32, type Arrays } from './op-cases.ts';

export interface GroupedLinearCase {
  readonly name: string;
  /** The groups, which need not come in order; rows between them and behind belong to none. */
  readonly segments: Segments;
  readonly total: number;
  readonly inputs: number;
  readonly outputs: number;
}

export const groupedLinearCases: readonly GroupedLinearCase[] = [
  { name: 'one row', segments: [{ row: 0, start: 0, length: 1 }], total: 1, inputs: 3, outputs: 2 },
  {
    name: 'ragged groups, an empty one, rows of none',
    segments: [
      { row: 0, start: 5, length: 3 },
      { row: 0, start: 0, length: 4 },
      { row: 0, start: 4, length: 0 },
      { row: 0, start: 9, length: 2 },
    ],
    total: 13,
    inputs: 5,
    outputs: 7,
  },
  {
    name: 'groups that fill the rows',
    segments: [0, 8, 16].map((start) => ({ row: 0, start, length: 8 })),
    total: 24,
    inputs: 8,
    outputs: 4,
  },
  {
    name: 'groups of more than one block, with odd widths',
    segments: [
      { row: 0, start: 70, length: 66 },
      { row: 0, start: 0, length: 67 },
    ],
    total: 137,
    inputs: 3,
    outputs: 9,
  },
];

export function groupedLinearInputs({ segments, total, inputs, outputs }: GroupedLinearCase) {
  const random = seededRandom(8);
  return {
    x: float32(random.normals([total, inputs])),
    weight: float32(random.normals([segments.length, outputs, inputs])),
    bias: float32(random.normals([segments.length, outputs])),
    dy: float32(random.normals([total, outputs])),
  };
}

export const groupedLinearOracle =
  ({ segments, total, outputs }: GroupedLinearCase) =>
  ({ x, weight, bias }: Arrays): { y: NdArray } => {
    const y = nd([total, outputs]);
    segments.forEach(({ start, length }, m) => {
      const matrix = nd(weight!.shape.slice(1), rows(weight!, m, m + 1).data);
      const shift = bias && nd([outputs], rows(bias, m, m + 1).data);
      if (length > 0)
        y.data.set(linear(rows(x!, start, start + length), matrix, shift).data, start * outputs);
    });
    return { y };
  };

/** The columns of y by maps of these widths, which the outputs of a case come to. */
export function splitColumns(y: NdArray, widths: readonly number[]): Record<string, NdArray> {
  const [total = 0, outputs = 0] = y.shape;
  let start = 0;
  return Object.fromEntries(
    widths.map((width, i) => {
      const part = nd([total, width]);
      for (let n = 0; n < total; n++) {
        part.data.set(y.data.slice(n * outputs + start, n * outputs + start + width), n * width);
      }
      start += width;
      return [`y${i}`, part] as const;
    }),
  );
}

/** The layers of these widths that weights [M, outputs, inputs] and biases [M, outputs] consist of. */
export function splitLayers(
  { weight, bias }: { readonly weight: Tensor; readonly bias?: Tensor },
  widths: readonly number[],
): GroupedLayer[] {
  const weights = split(weight, [...widths], 1).map((own) => unstack(own));
  const biases = bias && split(bias, [...widths], 1).map((own) => unstack(own));
  return weights.map((own, i) => ({ weights: own, biases: biases?.[i] }));
}
