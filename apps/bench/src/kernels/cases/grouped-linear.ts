// The linear maps of a mixture's memories: ragged groups of rows, each with a weight of its own.
import { groupedLinear, packedSequences } from '@mnemix/kernels';
import { disposeTree, tensor, type Tensor } from '@mnemix/tensor';
import { bytesOf, freeInputs, type CaseOptions, type KernelCase } from '../case.ts';
import { noise, sampledError } from '../data.ts';

interface Map {
  /** Rows of each group in turn; behind the second there are rows of none. */
  readonly lengths: readonly number[];
  readonly inputs: number;
  readonly outputs: number;
  readonly hasBias?: boolean;
}

/** Rows of no group. */
const UNUSED = 13;

/** The maps of a language model 512 wide (keys, values and gates of 16,384 tokens, of whom each has two memories of four and the shared one), and others. */
const LARGE: readonly Map[] = [
  { lengths: [9000, 11_768, 5000, 7000, 16_384], inputs: 512, outputs: 1032 },
  { lengths: [8000, 0, 8001, 367, 16_400], inputs: 1024, outputs: 1024, hasBias: true },
  { lengths: [3000, 4097, 1, 2], inputs: 1025, outputs: 515, hasBias: true },
];
const TINY: readonly Map[] = [{ lengths: [9, 0, 70], inputs: 12, outputs: 20, hasBias: true }];

export const groupedLinearCases = ({ quick }: CaseOptions): readonly KernelCase[] =>
  (quick ? TINY : LARGE).map(mapCase);

function mapCase({ lengths, inputs: depth, outputs, hasBias = false }: Map): KernelCase {
  const segments: { row: number; start: number; length: number }[] = [];
  let total = 0;
  lengths.forEach((length, m) => {
    segments.push({ row: 0, start: total, length });
    total += length + (m === 1 ? UNUSED : 0);
  });
  const groups = lengths.length;
  return {
    family: 'groupedLinear',
    op: `groupedLinear${hasBias ? ' with bias' : ''}`,
    shape: `${total}×${depth} · ${groups} of ${outputs}×${depth}ᵀ`,
    precisions: ['float32', 'mixed'],
    prepare: () => {
      const [x, weight, bias] = [
        noise(1, total * depth),
        noise(2, groups * outputs * depth),
        noise(3, groups * outputs),
      ];
      const inputs = {
        x: tensor(x, [total, depth]),
        weight: tensor(weight, [groups, outputs, depth]),
        ...(hasBias && { bias: tensor(bias, [groups, outputs]) }),
      };
      const sequences = packedSequences(1, total, segments);
      const groupOf = (row: number): number =>
        segments.findIndex(({ start, length }) => row >= start && row < start + length);
      const sumOf = (count: number, term: (i: number) => number): number => {
        let sum = 0;
        for (let i = 0; i < count; i++) sum += term(i);
        return sum;
      };
      const entry = (index: number): number => {
        const [row, column] = [Math.floor(index / outputs), index % outputs];
        const m = groupOf(row);
        if (m < 0) return 0;
        const map = (m * outputs + column) * depth;
        const sum = sumOf(depth, (i) => (x[row * depth + i] as number) * (weight[map + i] as number));
        return sum + (hasBias ? (bias[m * outputs + column] as number) : 0);
      };
      const flops = 2 * lengths.reduce((a, b) => a + b) * depth * outputs;
      const bytes = bytesOf(inputs, total * outputs);
      return {
        inputs,
        run: (given) =>
          groupedLinear(given as { x: Tensor; weight: Tensor; bias?: Tensor }, { groups: sequences }),
        cost: {
          forward: { flops, bytes },
          training: { flops: 3 * flops, bytes: 2 * bytes + bytesOf(inputs) },
        },
        errorOf: (found) => sampledError(found, entry),
        gradientErrorOf: (found, dy) => {
          const dX = (index: number): number => {
            const [row, i] = [Math.floor(index / depth), index % depth];
            const m = groupOf(row);
            const map = m * outputs * depth + i;
            return m < 0
              ? 0
              : sumOf(
                  outputs,
                  (c) => (dy[row * outputs + c] as number) * (weight[map + c * depth] as number),
                );
          };
          const slope = (m: number, column: number, factor: (row: number) => number): number => {
            const { start = 0, length = 0 } = segments[m] ?? {};
            return sumOf(length, (n) => (dy[(start + n) * outputs + column] as number) * factor(start + n));
          };
          const dWeight = (index: number): number => {
            const [column, i] = [Math.floor(index / depth), index % depth];
            return slope(
              Math.floor(column / outputs),
              column % outputs,
              (row) => x[row * depth + i] as number,
            );
          };
          const dBias = (index: number): number =>
            slope(Math.floor(index / outputs), index % outputs, () => 1);
          const wanted = { x: dX, weight: dWeight, bias: dBias };
          return Math.max(
            ...Object.keys(inputs).map((name) =>
              sampledError(found[name] as ArrayLike<number>, wanted[name as keyof typeof wanted]),
            ),
          );
        },
        dispose: () => {
          freeInputs(inputs)();
          const { starts, lengths: rowsOf, rowSequence } = sequences;
          disposeTree({ starts, lengths: rowsOf, rowSequence });
        },
      };
    },
  };
}
