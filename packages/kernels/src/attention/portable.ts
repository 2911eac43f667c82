// Attention in tensor ops: blocks of queries share their keys, so scores and reading are plain products; who sees whom is told
// from positions.
import {
  add,
  clipByValue,
  concat,
  greaterEqual,
  matMul,
  max,
  mul,
  reshape,
  softmax,
  split,
  sub,
  sum,
  transpose,
  where,
  zeros,
  type Tensor,
} from '@mnemix/tensor';
import { keyBlocks, queryBlocks, type KeyBlocks, type QueryBlocks } from './blocks.ts';
import type { Attrs, BackwardInputs, Group, Inputs, Outputs } from './op.ts';

/** Added to scores of what is not to be seen: e^{this} is 0, and it is a number. */
const HIDDEN = -1e30;

/** Distances are whole numbers, and products of clipped ones are faster than comparisons. */
const isPositive = (x: Tensor): Tensor => clipByValue(x, 0, 1);

/** A group of keys as blocks of queries see it. */
interface View {
  readonly group: Group;
  readonly keys: KeyBlocks;
  /** [S·n, 1, b, m]. */
  readonly distance: Tensor;
  /** 1 where a query sees a key, 0 elsewhere, [S·n, 1, b, m]. */
  readonly visible: Tensor;
}

function viewOf(inputs: Inputs, attrs: Attrs, queries: QueryBlocks, g: number): View {
  const { count } = attrs;
  const { blocks, perBlock } = queries;
  const group = attrs.groups[g] as Group;
  const keys = keyBlocks(inputs, attrs, queries, g);
  const own = keys.positions.shape[1] as number;
  const keyPosition = reshape(keys.positions, [count, own, 1, keys.size]);
  const distance = sub(reshape(queries.positions, [count, blocks, perBlock, 1]), keyPosition);
  let visible = mul(isPositive(sub(distance, group.nearest - 1)), isPositive(add(keyPosition, 1)));
  if (group.farthest < Infinity) visible = mul(visible, isPositive(sub(group.farthest, distance)));
  const ofLanes = (x: Tensor): Tensor => reshape(x, [count * blocks, 1, perBlock, keys.size]);
  return { group, keys, distance: ofLanes(distance), visible: ofLanes(visible) };
}

/** What forward and backward pass share. */
function setUp(inputs: Inputs, attrs: Attrs) {
  const { count, heads, kvHeads, headWidth, scale } = attrs;
  const queries = queryBlocks(inputs, attrs);
  const lanes = count * queries.blocks;
  /** [S·n, tokens, heads·D] → [S·n, kvH, (heads/kvH)·tokens, D]: heads that share keys are further queries of one product. */
  const headsFirst = (x: Tensor): Tensor => {
    const [, tokens = 0, width = 0] = x.shape;
    const perKey = width / (kvHeads * headWidth);
    const apart = reshape(x, [lanes, tokens, kvHeads, perKey, headWidth]);
    return reshape(transpose(apart, [0, 2, 3, 1, 4]), [lanes, kvHeads, perKey * tokens, headWidth]);
  };
  const headsLast = (x: Tensor, tokens: number): Tensor => {
    const perKey = (x.shape[2] as number) / tokens;
    const apart = reshape(x, [lanes, kvHeads, perKey, tokens, headWidth]);
    return reshape(transpose(apart, [0, 3, 1, 2, 4]), [lanes, tokens, kvHeads * perKey * headWidth]);
  };
  /** [S·n, H, b, m] as products have it, and back. */
  const perKeyHead = (x: Tensor): Tensor =>
    reshape(x, [lanes, kvHeads, (heads / kvHeads) * queries.perBlock, x.shape[3] as number]);
  const perHead = (x: Tensor): Tensor => reshape(x, [lanes, heads, queries.perBlock, x.shape[3] as number]);
  const asked = (i: number): Tensor =>
    headsFirst(queries.toBlocks(mul(inputs[`queries${i}`] as Tensor, scale)));
  return {
    queries,
    views: attrs.groups.map((_, g) => viewOf(inputs, attrs, queries, g)),
    headsFirst,
    headsLast,
    perKeyHead,
    perHead,
    asked,
  };
}

const ofGroups = (parts: readonly Tensor[]): Tensor =>
  parts.length === 1 ? (parts[0] as Tensor) : concat([...parts], 3);

const perGroup = (x: Tensor, views: readonly View[]): Tensor[] =>
  views.length === 1
    ? [x]
    : split(
        x,
        views.map(({ keys }) => keys.size),
        3,
      );

export function forward(inputs: Inputs, attrs: Attrs): Outputs {
  const { queries, views, headsFirst, headsLast, perKeyHead, perHead, asked } = setUp(inputs, attrs);
  const scores = views.map(({ group, keys, distance, visible }) => {
    const product = (from: number, name: 'keys' | 'farKeys'): Tensor =>
      perHead(matMul(asked(from), headsFirst(keys.read(name)), false, true));
    let found = product(group.queries, 'keys');
    if (group.far) {
      const far = product(group.far.queries, 'farKeys');
      found = where(greaterEqual(distance, group.far.from), far, found);
    }
    return add(found, mul(sub(1, visible), HIDDEN));
  });
  const shares = softmax(ofGroups(scores));
  // Whoever sees anybody has exact zeros for all others already; among the tokens from its own on everybody sees himself.
  const seesItself = views.some(({ group }) => group.kind === 'tokens' && group.nearest === 0);
  const weights = seesItself
    ? shares
    : mul(shares, max(ofGroups(views.map(({ visible }) => visible)), 3, true));
  const read = perGroup(weights, views).map((part, g) =>
    matMul(perKeyHead(part), headsFirst((views[g] as View).keys.read('values'))),
  );
  const whole = read.reduce((total, part) => add(total, part));
  return {
    o: queries.toRows(headsLast(whole, queries.perBlock)),
    logSumExp: zeros([0]),
    weights,
  };
}

/** Gradients of all inputs but the constant ones, under their names. */
export function backward(inputs: BackwardInputs, attrs: Attrs): Record<string, Tensor> {
  const { scale } = attrs;
  const { queries, views, headsFirst, headsLast, perKeyHead, perHead, asked } = setUp(inputs, attrs);
  const weights = inputs['weights'] ?? forward(inputs, attrs).weights;
  const dRead = headsFirst(queries.toBlocks(inputs['dO'] as Tensor));
  const dWeights = views.map(({ keys }) =>
    perHead(matMul(dRead, headsFirst(keys.read('values')), false, true)),
  );
  // Summed over the weights, not taken from dO · o: who sees one key alone then has a gradient of exactly 0.
  const slopes = mul(weights, ofGroups(dWeights));
  const shares = perGroup(weights, views);
  const dScores = perGroup(sub(slopes, mul(weights, sum(slopes, 3, true))), views);

  const gradients: Record<string, Tensor> = {};
  const ofQueries = (i: number, dScore: Tensor, keys: Tensor): void => {
    const gradient = matMul(perKeyHead(dScore), headsFirst(keys));
    const found = mul(queries.toRows(headsLast(gradient, queries.perBlock)), scale);
    const other = gradients[`queries${i}`];
    gradients[`queries${i}`] = other ? add(other, found) : found;
  };
  views.forEach(({ group, keys, distance }, g) => {
    const fromQueries = (x: Tensor, of: Tensor): Tensor =>
      headsLast(matMul(perKeyHead(x), of, true, false), keys.size);
    Object.assign(gradients, keys.write('values', fromQueries(shares[g] as Tensor, dRead)));
    let dScore = dScores[g] as Tensor;
    if (group.far) {
      const isFar = isPositive(sub(distance, group.far.from - 1));
      const dFar = mul(dScore, isFar);
      dScore = sub(dScore, dFar);
      ofQueries(group.far.queries, dFar, keys.read('farKeys'));
      Object.assign(gradients, keys.write('farKeys', fromQueries(dFar, asked(group.far.queries))));
    }
    ofQueries(group.queries, dScore, keys.read('keys'));
    Object.assign(gradients, keys.write('keys', fromQueries(dScore, asked(group.queries))));
  });
  return gradients;
}
