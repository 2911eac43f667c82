// The groups of keys that queries see, from where tokens lie.
import { rotary } from '@mnemix/layers';
import {
  add,
  greaterEqual,
  neg,
  range,
  reshape,
  scalar,
  slice,
  sub,
  tile,
  where,
  type Tensor,
  type Tensor1D,
  type Tensor3D,
} from '@mnemix/tensor';
import type { KeyGroup } from './attend.ts';
import type { CheckedConfig } from './config.ts';
import type { Queries } from './projections.ts';
import type { RecalledState } from './state.ts';
import { indexOf, newest, NOBODY, tableOf, take, type Timeline, type TokenStore } from './timeline.ts';

/** Keys and values of tokens. */
export interface Stores {
  readonly keys: TokenStore;
  readonly values: TokenStore;
}

/** Keys and values of n blocks, [S, n, m, kvH·D], at positions [S, n, m]. */
interface BlockTokens {
  readonly keys: Tensor;
  readonly values: Tensor;
  readonly positions: Tensor;
}

/** The tokens that stand `nearest` … `farthest` − 1 before a query. */
export function windowGroup(
  timeline: Timeline,
  queries: Tensor,
  stores: Stores,
  nearest: number,
  farthest: number,
): KeyGroup {
  const { blocks, perBlock, sequences } = timeline;
  const first = slice(timeline.queries, [0, 0, 0], [sequences.count, blocks, 1]);
  const positions = add(first, range(1 - farthest, perBlock - nearest));
  // One token a sequence: its window is the end of what there is.
  const isEnd = blocks === 1 && sequences.uniform?.tokens === 1;
  const index = isEnd ? undefined : indexOf(timeline, positions, stores.keys.before?.shape[1] ?? 0);
  const shown = (store: TokenStore): Tensor => {
    if (index) return take(tableOf(store), index);
    const shape = [sequences.count, farthest - nearest, store.rows.shape[1]] as [number, number, number];
    const [count, ...rest] = shape;
    return reshape(slice(newest(timeline, store, farthest), [0, 0, 0], shape), [count, 1, ...rest]);
  };
  return {
    queries,
    keys: shown(stores.keys),
    values: shown(stores.values),
    positions,
    nearest,
    farthest,
    holdsQuery: nearest === 0,
  };
}

/** Slots, and what to use of them beyond 2w where there are rotary positions. */
export function slotGroup(config: CheckedConfig, queries: Queries, tokens: BlockTokens): KeyGroup {
  const { eidetic, window, ropeBase, kvHeads, headWidth } = config;
  const { keys, positions } = tokens;
  const ofOutputs = eidetic?.payload === 'output';
  const unrotated = (): Tensor => {
    const perHead = reshape(keys, [positions.size, kvHeads, headWidth]) as Tensor3D;
    const back = neg(reshape(positions, [positions.size])) as Tensor1D;
    return reshape(rotary(perHead, back, ropeBase), keys.shape);
  };
  const clamped = () => ({
    from: 2 * window,
    queries: ofOutputs ? queries.farOfOutputs : queries.farOfInputs,
    keys: unrotated(),
  });
  return {
    queries: ofOutputs ? queries.ofOutputs : queries.ofInputs,
    keys,
    values: tokens.values,
    positions,
    nearest: eidetic?.dedupe ? window : 0,
    farthest: Infinity,
    clamped: ropeBase > 0 ? clamped() : undefined,
  };
}

/** Recalled slots as every block sees them. */
export function recalledTokens(
  { keys, values, positions }: RecalledState,
  blocks: number,
  span: number,
): BlockTokens {
  const [count, slots] = positions.shape;
  const perSlot = span + 1;
  const chosen = reshape(positions, [count, slots, 1]);
  const own = where(greaterEqual(chosen, 0), add(sub(chosen, span), range(0, perSlot)), scalar(NOBODY));
  const forBlocks = (x: Tensor): Tensor => {
    const rest = x.shape.slice(1);
    return tile(reshape(x, [count, 1, ...rest]), [1, blocks, ...rest.map(() => 1)]);
  };
  return {
    keys: forBlocks(keys),
    values: forBlocks(values),
    positions: forBlocks(reshape(own, [count, slots * perSlot])),
  };
}
