// The text of decayed scores with one gate for each key channel, on matrix units.
import { PADDING, putHalves, times } from '../matrix-units.ts';
import { mixedCommon } from './mixed-operands.ts';

/** Rows of a block. */
const ROWS = 16;
/** Pairs of blocks, reader and earlier writer: [1, 0], [2, 0], [2, 1], [3, 0], … */
const TILES = 6;

export const mixedVectorScoresBytes = (dk: number): number =>
  2 * (3 + TILES) * ROWS * (dk + PADDING) + 4 * 4 * dk + 4 * 4 * ROWS ** 2 + 4 * 128;

/**
 * As vector-scores.wgsl. A workgroup has a chunk's head, each of its four subgroups a block of 16 tokens, an invocation four channels.
 * A query goes back from its own token to the block's first and is decayed on the way: it meets the keys of its own block (sums
 * over the channels in f32), and arrives as the reader that the blocks before meet, whose keys are decayed to the border (f16).
 * All decays are products of gates' exponentials, so none is above 1.
 */
export function mixedVectorScoresWgsl(dk: number): string {
  const stride = dk + PADDING;
  const quads = dk / 4;
  const rows = Array.from({ length: ROWS }, (_, j) => j);
  // Sixteen sums over all invocations, of which each ends up with the one of its number: halves are swapped and added.
  const reduce = [8, 4, 2, 1]
    .map((bit) =>
      times(
        bit,
        (n) => `{
      let isHigh = (lane & ${bit}) != 0;
      let sent = select(sum${n + bit}, sum${n}, isHigh);
      sum${n} = select(sum${n}, sum${n + bit}, isHigh) + subgroupShuffleXor(sent, ${bit});
    }`,
      ),
    )
    .join('\n');

  const oneQuery = (n: number): string => `{
    let i = i0 + ${n};
    var read = vec4f();
    ${rows
      .toReversed()
      .map(
        (j) => `${j % 4 === n ? `read = select(read, own${n}, i == ${j});` : ''}
    var sum${j} = dot(read, key${j});
    read *= decay${j};`,
      )
      .join('\n')}
    ${reduce}
    sum0 += subgroupShuffleXor(sum0, 16);
    if (lane < 16) {
      scores[scores0 + (first + i) * 64 + first + lane] = sum0;
    }
    let unit = unitOf(subgroupMax(largestOf(read)));
    if (lane == 0) {
      unitQ[first + i] = unit;
    }
    if (subgroup > 0 && isChannel) {
      ${putHalves('queries', `(first - 16 + i) * ${stride} + 4 * lane`, 'inverseOf(unit) * read')}
    }
  }`;

  return `${mixedCommon}

/** Of blocks 1 to 3. */
var<workgroup> queries: array<f16, ${3 * ROWS * stride}>;
/** Of each pair of blocks. */
var<workgroup> keys: array<f16, ${TILES * ROWS * stride}>;
/** Of whole blocks, by channel. */
var<workgroup> blockDecays: array<vec4f, ${4 * quads}>;
var<workgroup> results: array<f32, 1024>;
/** What rows were divided by. */
var<workgroup> unitQ: array<f32, 64>;
var<workgroup> unitK: array<f32, 64>;

@compute @workgroup_size(128)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let chunk = chunks[group.z];
  if (chunk.tokens == 0) {
    return;
  }
  let head = group.y;
  let subgroup = local / 32;
  let lane = local % 32;
  let first = 16 * subgroup;
  let quad = min(lane, ${quads - 1});
  let isChannel = lane < ${quads};
  let scores0 = (group.z * sizes.heads + head) * 4096;

  ${times(
    ROWS,
    (
      j,
    ) => `let at${j} = ((chunk.start + min(first + ${j}, chunk.tokens - 1)) * sizes.heads + head) * ${quads} + quad;
  var key${j} = k[at${j}];
  var decay${j} = logDecay[at${j}];`,
  )}
  ${times(
    ROWS,
    (j) => `key${j} = select(vec4f(), key${j}, isChannel);
  decay${j} = exp(decay${j});`,
  )}

  // Loops are not written out where the code would be more than the multiprocessor's store of instructions.
  ${[0, 1, 2, 3].map((n) => `var query${n} = q[at${n}];`).join('\n')}
  for (var i0 = 0u; i0 < 16; i0 += 4) {
    ${[0, 1, 2, 3]
      .map(
        (n) => `let own${n} = select(vec4f(), query${n}, isChannel);
    query${n} = q[((chunk.start + min(first + i0 + ${4 + n}, chunk.tokens - 1)) * sizes.heads + head) * ${quads} + quad];`,
      )
      .join('\n')}
    ${[0, 1, 2, 3].map(oneQuery).join('\n')}
  }

  // Keys, decayed to the end of their block.
  var suffix = vec4f(1);
  ${rows
    .toReversed()
    .map(
      (j) => `{
    let key = key${j} * suffix;
    let unit = unitOf(subgroupMax(largestOf(key)));
    if (lane == 0) {
      unitK[first + ${j}] = unit;
    }
    key${j} = inverseOf(unit) * key;
    suffix *= decay${j};
  }`,
    )
    .join('\n')}
  if (isChannel) {
    blockDecays[subgroup * ${quads} + quad] = suffix;
  }
  workgroupBarrier();
  if (isChannel) {
    var between = vec4f(1);
    for (var reader = subgroup + 1; reader < 4; reader++) {
      let place = (reader * (reader - 1) / 2 + subgroup) * ${ROWS * stride} + 4 * lane;
      ${rows.map((j) => putHalves('keys', `place + ${j * stride}`, `between * key${j}`)).join('\n')}
      between *= blockDecays[reader * ${quads} + quad];
    }
  }
  workgroupBarrier();
  for (var tile0 = 0u; tile0 < ${TILES}; tile0 += 4) {
    let tile = tile0 + subgroup;
    let reader = 1 + u32(tile > 0) + u32(tile > 2);
    let writer = tile - reader * (reader - 1) / 2;
    if (tile < ${TILES}) {
      var product = Sums();
      ${times(
        dk / 16,
        (step) => `product = subgroupMatrixMultiplyAccumulate(
        subgroupMatrixLoad<Left, row_major>(&queries, (reader - 1) * ${ROWS * stride} + ${16 * step}, ${stride}),
        subgroupMatrixLoad<Right, col_major>(&keys, tile * ${ROWS * stride} + ${16 * step}, ${stride}), product);`,
      )}
      subgroupMatrixStore<row_major>(&results, 256 * subgroup, product, 16);
    }
    workgroupBarrier();
    if (tile < ${TILES}) {
      ${times(
        8,
        (n) => `{
        let i = 16 * reader + ${2 * n} + lane / 16;
        let j = 16 * writer + lane % 16;
        scores[scores0 + i * 64 + j] = unitQ[i] * unitK[j] * results[256 * subgroup + ${32 * n} + lane];
      }`,
      )}
    }
    workgroupBarrier();
  }
}`;
}
