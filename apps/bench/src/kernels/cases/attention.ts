// Causal softmax attention, whole and in a window.
import { attention, uniformSequences } from '@mnemix/kernels';
import { disposeTree, reshape, tensor, type Tensor } from '@mnemix/tensor';
import { bytesOf, freeInputs, type CaseOptions, type KernelCase } from '../case.ts';
import { noise, relativeError } from '../data.ts';
import { shapeText, type ScanShape } from '../scan.ts';

const SAMPLES = 24;

export const attentionCases = ({ quick }: CaseOptions): readonly KernelCase[] => {
  const shape: ScanShape = quick
    ? { batch: 2, tokens: 70, heads: 2, width: 16 }
    : { batch: 8, tokens: 2048, heads: 8, width: 128 };
  return [
    attentionCase(shape, undefined),
    attentionCase(shape, quick ? 16 : 256),
    attentionCase({ ...shape, width: shape.width / 2 }, undefined),
  ];
};

function attentionCase(shape: ScanShape, window: number | undefined): KernelCase {
  const { batch, tokens, heads, width } = shape;
  const isWhole = window === undefined;
  return {
    family: 'attention',
    op: isWhole ? 'causal attention' : `attention, window of ${window}`,
    shape: shapeText(shape),
    precisions: ['float32', 'mixed'],
    isMain: isWhole && width !== 64,
    prepare: () => {
      const rows = batch * tokens;
      const channels = heads * width;
      const [q, k, v] = [1, 2, 3].map((seed) => noise(seed, rows * channels)) as [
        Float32Array,
        Float32Array,
        Float32Array,
      ];
      const inputs = {
        queries: tensor(q, [rows, channels]),
        keys: tensor(k, [rows, channels]),
        values: tensor(v, [rows, channels]),
      };
      const sequences = uniformSequences(batch, tokens);
      // Pairs that see one another.
      const seen = Math.min(tokens, window ?? tokens);
      const pairs = batch * heads * (seen * tokens - (seen * (seen - 1)) / 2);
      const forward = { flops: 4 * pairs * width, bytes: bytesOf(inputs, rows * channels) };
      return {
        inputs,
        run: (given) =>
          reshape(
            attention(
              {
                groups: [
                  {
                    queries: given.queries as Tensor,
                    keys: given.keys as Tensor,
                    values: given.values as Tensor,
                    farthest: window,
                  },
                ],
              },
              { sequences, heads },
            ),
            [rows, channels],
          ),
        cost: {
          forward,
          // Scores once more, and four products.
          training: {
            flops: 14 * pairs * width,
            bytes: forward.bytes + bytesOf(inputs, inputs, rows * channels),
          },
        },
        errorOf: (found) => sampledRows({ q, k, v, found, shape, seen }),
        dispose: () => {
          freeInputs(inputs)();
          const { starts, lengths, rowSequence } = sequences;
          disposeTree({ starts, lengths, rowSequence });
        },
      };
    },
  };
}

/** Some heads of some tokens, by the definition in float64. */
function sampledRows({
  q,
  k,
  v,
  found,
  shape: { batch, tokens, heads, width },
  seen,
}: {
  readonly q: Float32Array;
  readonly k: Float32Array;
  readonly v: Float32Array;
  readonly found: ArrayLike<number>;
  readonly shape: ScanShape;
  readonly seen: number;
}): number {
  const pairs: [number, number][] = [];
  const all = batch * tokens * heads;
  for (let i = 0; i < SAMPLES; i++) {
    const index = Math.round((i * (all - 1)) / (SAMPLES - 1));
    const [row, head] = [Math.floor(index / heads), index % heads];
    const t = row % tokens;
    const at = (other: number): number => (other * heads + head) * width;
    const rows = Array.from({ length: Math.min(seen, t + 1) }, (_, back) => row - back);
    const scores = rows.map((other) => {
      let dot = 0;
      for (let c = 0; c < width; c++) dot += (q[at(row) + c] as number) * (k[at(other) + c] as number);
      return dot / Math.sqrt(width);
    });
    const largest = Math.max(...scores);
    const weights = scores.map((score) => Math.exp(score - largest));
    const total = weights.reduce((a, b) => a + b, 0);
    for (let c = 0; c < width; c++) {
      const mean = rows.reduce(
        (sum, other, j) => sum + (weights[j] as number) * (v[at(other) + c] as number),
        0,
      );
      pairs.push([found[at(row) + c] as number, mean / total]);
    }
  }
  return relativeError(pairs);
}
