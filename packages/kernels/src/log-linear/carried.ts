// What an earlier call left behind: read by the tokens of this one, and taken along from block to block.
import {
  add,
  cast,
  concat,
  expandDims,
  lessEqual,
  matMul,
  maximum,
  minimum,
  mul,
  range,
  reshape,
  sub,
  type Tensor,
} from '@mnemix/tensor';
import { carriedScales, levelView, mergeLevels } from './levels.ts';
import { eachOf, type Places } from './places.ts';
import { transit, type Runs } from './tree.ts';

/**
 * @param memory [lanes, L, dk·dv] as the token before the first one saw it
 * @param blocks as runs of B tokens, [n·lanes, …]
 * @param at.scales λ [n·lanes, B, L]
 * @param at.origin the position at which the first block starts, [lanes, 1]
 * @returns o [n·lanes, B, dv] of what was carried, also from one block to the next; the memory as the last
 * token sees it, without the levels within that token's own block
 */
export function readCarried(
  memory: Tensor,
  blocks: Runs,
  { scales, places, origin }: { scales: Tensor; places: Places; origin: Tensor },
): { o: Tensor; memory: Tensor } {
  const [lanes, levels] = memory.shape as [number, number, number];
  const [, size, dk] = blocks.reads.shape as [number, number, number];
  const dv = blocks.memory.shape[2] as number;
  const { first, last } = places;
  const each = (x: Tensor) => eachOf(x, lanes);
  const [reads, writes, transitions] = [each(blocks.reads), each(blocks.memory), each(blocks.transition)];
  const scalesOf = each(scales);

  let state = memory;
  // The position from which the levels are as they are: at first that of the last token before.
  const before = sub(first, 1);
  let seenFrom = before;
  const outputs = reads.map((query, block) => {
    const start = add(origin, block * size);
    const now = minimum(maximum(start, before), last);
    // Where the sequence goes on into this block, all of the one before becomes part of a level.
    const goesOn = reshape(cast(lessEqual(start, last), 'float32'), [lanes, 1, 1]);
    const written = block > 0 ? reshape(writes[block - 1] as Tensor, [lanes, 1, dk * dv]) : undefined;
    state = mergeLevels(state, levelView(seenFrom, now, levels), written && mul(written, goesOn));
    seenFrom = now;
    const positions = add(expandDims(start, 1), reshape(range(0, size), [1, size, 1]));
    const scale = carriedScales(scalesOf[block] as Tensor, levelView(expandDims(now, 1), positions, levels));
    const scaled = reshape(mul(expandDims(scale, 3), expandDims(query, 2)), [lanes, size, levels * dk]);
    const o = matMul(scaled, reshape(state, [lanes, levels * dk, dv]));
    const passed = transit(
      expandDims(transitions[block] as Tensor, 1),
      reshape(state, [lanes, levels, dk, dv]),
    );
    state = reshape(passed, [lanes, levels, dk * dv]);
    return o;
  });
  return { o: concat(outputs, 0), memory: mergeLevels(state, levelView(seenFrom, last, levels)) };
}
