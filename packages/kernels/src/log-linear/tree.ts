// The levels of the Fenwick tree above the chunk, within a block of chunks: each level pairs the halves of a
// run, and the later half reads what the earlier one holds. All pairs of a level are done at once; nothing
// goes chunk after chunk.
import {
  add,
  broadcastTo,
  concat,
  matMul,
  mul,
  ones,
  pad,
  reshape,
  slice,
  split,
  zeros,
  type Tensor,
} from '@mnemix/tensor';
import { identity } from './rules.ts';

/** R·n runs of T tokens, n in each block, by what they do to a state that enters them. */
export interface Runs {
  /** What each token reads the entering state with, [R·n, T, dk]. */
  readonly reads: Tensor;
  /** What the run itself leaves behind, [R·n, dk, dv]. */
  readonly memory: Tensor;
  /** What becomes of the entering state, [R·n, dk, dk], or [R·n, 1, 1] for a multiple of the identity. */
  readonly transition: Tensor;
}

export interface Tree {
  /** What the tokens read through these levels, [R·n, C, dv]; none where a block is one chunk. */
  readonly o: Tensor | undefined;
  /**
   * For each level h the memory of the earlier halves at the end of the later ones, [R·2^(height−h−1), dk,
   * dv].
   */
  readonly passed: readonly Tensor[];
  /** The blocks as one run each. */
  readonly whole: () => Runs;
}

/** Levels over n runs. */
export const treeHeight = (runs: number): number => Math.ceil(Math.log2(runs));

/** A state behind a run, from that before it. */
export const transit = (transition: Tensor, state: Tensor): Tensor =>
  transition.shape.at(-1) === 1 ? mul(state, transition) : matMul(transition, state);

/** The same seen from the queries behind the run. */
const pull = (reads: Tensor, transition: Tensor): Tensor =>
  transition.shape.at(-1) === 1 ? mul(reads, transition) : matMul(reads, transition);

/**
 * @param chunks as runs of C tokens
 * @param scales λ of the tree's levels, [R·n, C, height]
 * @param blocks R
 */
export function readTree(chunks: Runs, scales: Tensor, blocks: number): Tree {
  const [rows, size] = chunks.reads.shape as [number, number];
  const dv = chunks.memory.shape[2] as number;
  const count = rows / blocks;
  const height = treeHeight(count);
  const missing = 2 ** height - count;
  const padded = blocks * 2 ** height;

  const filled = fillBlocks(chunks, blocks, missing);
  const allScales = fill(scales, zeros([size, height]), blocks, missing);
  let whole = () => filled;
  const passed: Tensor[] = [];
  const outputs = Array.from({ length: height }, (_, level) => {
    const runs = whole();
    const [earlierReads, laterReads] = halves(runs.reads);
    const [earlier, later] = halves(runs.memory);
    const [earlierTransition, laterTransition] = halves(runs.transition);
    const ofLevel = slice(allScales, [0, 0, level], [padded, size, 1]);
    const [, laterScales] = halves(reshape(ofLevel, [padded / 2 ** level, size * 2 ** level, 1]));
    const read = mul(matMul(laterReads, earlier), laterScales);
    const passing = transit(laterTransition, earlier);
    passed.push(passing);
    whole = () => ({
      reads: concat([earlierReads, pull(laterReads, earlierTransition)], 1),
      memory: add(passing, later),
      transition: transit(laterTransition, earlierTransition),
    });
    // The earlier halves read nothing at this level.
    const both = pad(reshape(read, [padded / 2 ** (level + 1), 1, size * 2 ** level * dv]), [
      [0, 0],
      [1, 0],
      [0, 0],
    ]);
    return reshape(both, [blocks, 2 ** height, size * dv]);
  });
  if (height === 0) return { o: undefined, passed, whole };
  const sum = outputs.reduce((all, part) => add(all, part));
  const o = reshape(slice(sum, [0, 0, 0], [blocks, count, size * dv]), [rows, size, dv]);
  return { o, passed, whole };
}

/** x [P, a, b] → its rows of even and of odd number, [P/2, a, b] each. */
function halves(x: Tensor): [Tensor, Tensor] {
  const [rows, a, b] = x.shape as [number, number, number];
  return split(reshape(x, [rows / 2, 2, a * b]), 2, 1).map((half) => reshape(half, [rows / 2, a, b])) as [
    Tensor,
    Tensor,
  ];
}

/** Chunks without a token behind each block's last one. */
function fillBlocks({ reads, memory, transition }: Runs, blocks: number, missing: number): Runs {
  const [, size, dk] = reads.shape as [number, number, number];
  return {
    reads: fill(reads, zeros([size, dk]), blocks, missing),
    memory: fill(memory, zeros(memory.shape.slice(1)), blocks, missing),
    transition: fill(
      transition,
      transition.shape.at(-1) === 1 ? ones([1, 1]) : identity(dk),
      blocks,
      missing,
    ),
  };
}

/** Appends `missing` rows [a, b] to each block of x [R·n, a, b]. */
function fill(x: Tensor, row: Tensor, blocks: number, missing: number): Tensor {
  if (missing === 0) return x;
  const [rows, a, b] = x.shape as [number, number, number];
  const more = broadcastTo(reshape(row, [1, 1, a * b]), [blocks, missing, a * b]);
  const all = concat([reshape(x, [blocks, rows / blocks, a * b]), more], 1);
  return reshape(all, [rows + blocks * missing, a, b]);
}
