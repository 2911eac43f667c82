// The groups of keys that queries see, from where tokens lie.
import type { BlockKeys, TokenKeys } from '@mnemix/kernels';
import { rotary } from '@mnemix/layers';
import {
  add,
  greaterEqual,
  neg,
  range,
  reshape,
  scalar,
  sub,
  where,
  type Tensor,
  type Tensor1D,
  type Tensor3D,
} from '@mnemix/tensor';
import type { CheckedConfig } from './config.ts';
import type { Queries } from './projections.ts';
import type { RecalledState } from './state.ts';
import { NOBODY, type TokenStore } from './timeline.ts';

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
export const windowGroup = (
  queries: Tensor,
  { keys, values }: Stores,
  nearest: number,
  farthest: number,
): TokenKeys => ({
  queries,
  keys: keys.rows,
  values: values.rows,
  before: keys.before && values.before && { keys: keys.before, values: values.before },
  nearest,
  farthest,
});

/** Slots, and what to use of them beyond 2w where there are rotary positions. */
export function slotGroup(config: CheckedConfig, queries: Queries, tokens: BlockTokens): BlockKeys {
  const { eidetic, window, ropeBase, kvHeads, headWidth } = config;
  const { keys, positions } = tokens;
  const ofOutputs = eidetic?.payload === 'output';
  const unrotated = (): Tensor => {
    const perHead = reshape(keys, [positions.size, kvHeads, headWidth]) as Tensor3D;
    const back = neg(reshape(positions, [positions.size])) as Tensor1D;
    return reshape(rotary(perHead, back, ropeBase), keys.shape);
  };
  const far = () => ({
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
    far: ropeBase > 0 ? far() : undefined,
  };
}

/** Recalled slots, the same for every block. */
export function recalledTokens({ keys, values, positions }: RecalledState, span: number): BlockTokens {
  const [count, slots] = positions.shape;
  const perSlot = span + 1;
  const chosen = reshape(positions, [count, slots, 1]);
  const own = where(greaterEqual(chosen, 0), add(sub(chosen, span), range(0, perSlot)), scalar(NOBODY));
  const oneBlock = (x: Tensor): Tensor => reshape(x, [count, 1, slots * perSlot, ...x.shape.slice(2)]);
  return {
    keys: oneBlock(keys),
    values: oneBlock(values),
    positions: reshape(own, [count, 1, slots * perSlot]),
  };
}
