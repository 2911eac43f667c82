// Decayed scores where every key channel has a gate of its own.
//
// The product (X⊙e^b)(Y⊙e^{−b})ᵀ overflows once a channel has decayed by e^{−88}. So a chunk is cut into sub-chunks of 16:
// two tokens of different sub-chunks meet at the later one's start, to which both decay (one product); two tokens of the
// same sub-chunk get an exponential of their own.
import { add, concat, cumsum, exp, matMul, mul, pad, reshape, slice, sum, type Tensor } from '@mnemix/tensor';
import type { Scores } from './decay.ts';
import { lowerTriangle } from './triangular.ts';

const SUB_CHUNK = 16;

/**
 * @param logDecay [P, C, dk]; C ≤ 16 or a multiple of 16
 * @param exclusive leaves out the gate of the token that looks back
 */
export function vectorScores(logDecay: Tensor, exclusive: boolean): Scores {
  const [chunks, size, width] = logDecay.shape as [number, number, number];
  const length = Math.min(SUB_CHUNK, size);
  const count = size / length;
  const subChunks = (x: Tensor) => reshape(x, [chunks * count, length, width]);
  const near = nearScores(subChunks(logDecay), exclusive);
  const far = farDecay(logDecay, exclusive, length);
  const later = Array.from({ length: count - 1 }, (_, i) => i + 1);
  const rows = (x: Tensor, i: number) => slice(x, [0, i * length, 0], [chunks, length, width]);
  /** Scores of sub-chunk i with all before it, [P, c, i·c]. */
  const before = (x: Tensor, i: number) => slice(x, [0, i * length, 0], [chunks, length, i * length]);
  const earlier = (y: Tensor, i: number) =>
    mul(slice(y, [0, 0, 0], [chunks, i * length, width]), far.toStart(i));
  /** The blocks on the diagonal, [P·C/c, c, c]. */
  const onDiagonal = (scores: Tensor) =>
    reshape(
      concat(
        Array.from({ length: count }, (_, i) =>
          slice(scores, [0, i * length, i * length], [chunks, length, length]),
        ),
        1,
      ),
      [chunks * count, length, length],
    );

  return {
    of: (x, y) => {
      const diagonal = reshape(near.of(subChunks(x), subChunks(y)), [chunks, size, length]);
      const block = (i: number) => slice(diagonal, [0, i * length, 0], [chunks, length, length]);
      const decayed = far.fromStart(x);
      const fill = (row: Tensor, i: number) =>
        pad(row, [
          [0, 0],
          [0, 0],
          [0, size - (i + 1) * length],
        ]);
      return concat(
        [
          fill(block(0), 0),
          ...later.map((i) =>
            fill(concat([matMul(rows(decayed, i), earlier(y, i), false, true), block(i)], 2), i),
          ),
        ],
        1,
      );
    },
    pullX: (dScores, y) => {
      const own = reshape(near.pullX(onDiagonal(dScores), subChunks(y)), [chunks, size, width]);
      if (count === 1) return own;
      const parts = concat(
        later.map((i) => matMul(before(dScores, i), earlier(y, i))),
        1,
      );
      return add(
        own,
        far.fromStart(
          pad(parts, [
            [0, 0],
            [length, 0],
            [0, 0],
          ]),
        ),
      );
    },
    pullY: (dScores, x) => {
      const decayed = far.fromStart(x);
      return later.reduce(
        (total, i) => {
          const part = mul(matMul(before(dScores, i), rows(decayed, i), true, false), far.toStart(i));
          return add(
            total,
            pad(part, [
              [0, 0],
              [0, size - i * length],
              [0, 0],
            ]),
          );
        },
        reshape(near.pullY(onDiagonal(dScores), subChunks(x)), [chunks, size, width]),
      );
    },
  };
}

/** Decay between tokens of different sub-chunks, by way of the later one's start. */
function farDecay(logDecay: Tensor, exclusive: boolean, length: number) {
  const [chunks, size, width] = logDecay.shape as [number, number, number];
  const inner = reshape(logDecay, [(chunks * size) / length, length, width]);
  const toToken = exp(reshape(cumsum(inner, 1, { exclusive }), [chunks, size, width]));
  const toEnd = reshape(cumsum(inner, 1, { exclusive: true, reverse: true }), [chunks, size, width]);
  const sums = reshape(sum(inner, 1), [chunks, size / length, width]);
  const factors: Tensor[] = [];
  let exponents: Tensor | undefined;
  for (let i = 1; i < size / length; i++) {
    const last = slice(toEnd, [0, (i - 1) * length, 0], [chunks, length, width]);
    // What reached the start of the sub-chunk before decays through all of that one, too.
    exponents = exponents
      ? concat([add(exponents, slice(sums, [0, i - 1, 0], [chunks, 1, width])), last], 1)
      : last;
    factors.push(exp(exponents));
  }
  return {
    /** x ⊙ decay from the start of each token's sub-chunk. */
    fromStart: (x: Tensor) => mul(x, toToken),
    /** Decay of all earlier tokens to the start of sub-chunk i, [P, i·c, dk]. */
    toStart: (i: number) => factors[i - 1] as Tensor,
  };
}

/** Scores within sub-chunks: all tensors are [P, c, dk] here. */
function nearScores(logDecay: Tensor, exclusive: boolean): Scores {
  const [chunks, size, width] = logDecay.shape as [number, number, number];
  const lower = reshape(lowerTriangle(size), [size, size, 1]);
  const byRow = (x: Tensor) => reshape(x, [chunks, size, 1, width]);
  const byColumn = (x: Tensor) => reshape(x, [chunks, 1, size, width]);
  // [P, m, j, dk]: the gates of the tokens m behind j, then summed up to i.
  const behind = reshape(mul(byRow(logDecay), lower), [chunks, size, size * width]);
  const exponents = reshape(cumsum(behind, 1, { exclusive }), [chunks, size, size, width]);
  const decay = mul(exp(exponents), lower);
  return {
    of: (x, y) => sum(mul(mul(decay, byRow(x)), byColumn(y)), 3),
    pullX: (dScores, y) => {
      const keys = reshape(mul(decay, byColumn(y)), [chunks * size, size, width]);
      return reshape(matMul(reshape(dScores, [chunks * size, 1, size]), keys), [chunks, size, width]);
    },
    pullY: (dScores, x) => sum(mul(mul(decay, byRow(x)), reshape(dScores, [chunks, size, size, 1])), 1),
  };
}
