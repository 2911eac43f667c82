// Log-linear attention in chunks. Within a chunk levels are weights of the scores; above, they are pairs of
// runs of chunks in a block that is aligned to its own size; what an earlier call left behind is read on its
// own, all levels at once.
import {
  add,
  cast,
  concat,
  expandDims,
  floor,
  gatherRows,
  matMul,
  maximum,
  minimum,
  mul,
  range,
  reshape,
  slice,
  sub,
  tensor,
  transpose,
  type Tensor,
} from '@mnemix/tensor';
import { chunkLayout } from '../portable/chunk-layout.ts';
import type { ScanAttrs } from '../portable/scan-options.ts';
import { readCarried } from './carried.ts';
import { levelView, truncated, untruncated } from './levels.ts';
import { placesOf, quotient, remainder, type LogLinearInputs, type LogLinearOutputs } from './places.ts';
import { summariseChunks, type ChunkSummary } from './rules.ts';
import { readTree, treeHeight, type Tree } from './tree.ts';
import { levelWeights } from './weights.ts';

export function logLinearChunk(inputs: LogLinearInputs, attrs: ScanAttrs): LogLinearOutputs {
  const [, heads, dk] = inputs.q.shape as [number, number, number];
  const [dv, levels] = [inputs.v.shape[2] as number, inputs.levelScales.shape[2] as number];
  const { chunkSize, chunks } = blockSizes(attrs, inputs.memory !== undefined);
  const blockSize = chunks * chunkSize;
  // Slots are counted from the start of the block that holds the first token.
  const phase = inputs.position && remainder(inputs.position, blockSize);
  const layout = chunkLayout({ ...inputs, ...attrs }, heads, blockSize, phase);
  const { lanes } = layout;
  const rows = layout.chunks * lanes * chunks;
  const toChunks = (x: Tensor) => reshape(layout.split(x), [rows, chunkSize, x.shape[2] ?? 1]);

  const summary = summariseChunks({
    q: mul(toChunks(inputs.q), attrs.scale),
    k: toChunks(inputs.k),
    v: toChunks(inputs.v),
    logDecay: toChunks(inputs.logDecay),
    beta: inputs.beta && toChunks(inputs.beta),
  });
  const { scores, values, reads, keys, transition } = summary;
  const [within, above] = [Math.log2(chunkSize) + 1, treeHeight(chunks)];
  const allScales = toChunks(inputs.levelScales);
  const scales = untruncated(allScales, within + above);
  const ofLevels = (first: number, count: number) => slice(scales, [0, 0, first], [rows, chunkSize, count]);

  const inChunks = matMul(mul(scores, levelWeights(ofLevels(0, within))), values);
  const tree = readTree(
    { reads, memory: matMul(keys, values), transition },
    ofLevels(within, above),
    layout.chunks * lanes,
  );
  const places = placesOf(inputs, heads);
  const origin = sub(places.first, remainder(places.first, blockSize));
  const carried =
    inputs.memory &&
    readCarried(reshape(inputs.memory, [lanes, levels, dk * dv]), tree.whole(), {
      scales: reshape(allScales, [layout.chunks * lanes, blockSize, levels]),
      places,
      origin,
    });
  const written = lastLevels(summary, tree, sub(places.last, origin), lanes, chunks);
  const memory = truncated(written, levels);
  const parts = [inChunks, tree.o, carried?.o].filter((part) => part !== undefined);
  const o = parts.map((part) => reshape(part, [layout.chunks * lanes, blockSize, dv]));
  return {
    o: layout.join(o.reduce((all, part) => add(all, part))),
    memory: reshape(carried ? add(memory, carried.memory) : memory, [attrs.count, heads, levels, dk, dv]),
  };
}

/**
 * Tokens of a chunk, a power of 2, and chunks of a block. Where every sequence starts at position 0, it is
 * one block; else the number of chunks is a power of 2, too, and a sequence may begin anywhere in a block and
 * end in the next one.
 */
function blockSizes(
  { chunkSize, maxLength }: ScanAttrs,
  continues: boolean,
): { chunkSize: number; chunks: number } {
  const size = Math.min(chunkSize, 2 ** Math.ceil(Math.log2(maxLength)));
  const chunks = Math.ceil(maxLength / size);
  return { chunkSize: size, chunks: continues ? Math.max(1, 2 ** (treeHeight(chunks) - 1)) : chunks };
}

/**
 * What the tokens have written, by the levels of an untruncated tree as seen from the last one, [lanes,
 * levels, dk·dv].
 *
 * @param last slot of the last token, counted from the start of the first block, [lanes, 1]; −1 for none
 */
function lastLevels(
  { keys, values }: ChunkSummary,
  { passed }: Tree,
  last: Tensor,
  lanes: number,
  chunks: number,
): Tensor {
  const [rows, dk, size] = keys.shape as [number, number, number];
  const [dv, within] = [values.shape[2] as number, Math.log2(size) + 1];
  const block = quotient(last, chunks * size);
  const inBlock = remainder(last, chunks * size);
  const blockRow = add(mul(block, lanes), reshape(range(0, lanes), [lanes, 1]));
  const at = (x: Tensor, row: Tensor) => gatherRows(x, reshape(cast(maximum(row, -1), 'int32'), [row.size]));

  // In the last token's chunk every token lies in the level of its own distance.
  const chunk = quotient(inBlock, size);
  const chunkRow = add(mul(blockRow, chunks), chunk);
  const slots = reshape(range(0, size), [1, size, 1]);
  const { entered } = levelView(slots, expandDims(remainder(inBlock, size), 1), within);
  const byLevel = mul(expandDims(transpose(entered, [0, 2, 1]), 2), expandDims(at(keys, chunkRow), 1));
  const near = matMul(reshape(byLevel, [lanes, within * dk, size]), at(values, chunkRow));
  const nearLevels = reshape(near, [lanes, within, dk * dv]);
  const height = passed.length;
  if (height === 0) return nearLevels;

  // Above, level h holds something where the last token's run of 2^h chunks is the later one of its pair.
  const perLevel = (f: (level: number) => number) =>
    tensor(Array.from({ length: height }, (_, level) => f(level)));
  const run = floor(
    mul(
      chunk,
      perLevel((level) => 2 ** -level),
    ),
  );
  const pair = floor(mul(run, 0.5));
  const isThere = mul(sub(run, mul(pair, 2)), minimum(add(block, 1), 1));
  // The pairs of all levels one after the other: 2^(height−1) of the first in each block, then half as many.
  const pairs = perLevel((level) => 2 ** (height - level - 1));
  const before = perLevel((level) => (rows / chunks) * (2 ** height - 2 ** (height - level)));
  const row = add(add(mul(blockRow, pairs), pair), before);
  const far = at(concat([...passed], 0), sub(mul(add(row, 1), isThere), 1));
  return concat([nearLevels, reshape(far, [lanes, height, dk * dv])], 1);
}
