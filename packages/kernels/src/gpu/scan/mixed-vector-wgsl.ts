// The text of what one gate for each key channel makes of a chunk's rows, on matrix units: decayed rows, and decayed scores.
import { PADDING, putHalves, times } from '../matrix-units.ts';
import { mixedCommon } from './mixed-operands.ts';

export interface MixedVector {
  readonly dk: number;
  /** Keys read as well as queries. */
  readonly keysRead: boolean;
}

/** Rows of a block. */
const ROWS = 16;
/** Pairs of blocks, reader and earlier writer: [1, 0], [2, 0], [2, 1], [3, 0], … */
const TILES = 6;

export const mixedVectorBytes = ({ dk }: Pick<MixedVector, 'dk'>): number =>
  2 * (3 + TILES) * ROWS * (dk + PADDING) + 4 * 4 * dk + 4 * 4 * ROWS ** 2 + 4 * 128;

/**
 * With the gates' running sums b in the chunk, of queries and, `keysRead`, of keys,
 *
 *     readQ_i = q_i ⊙ e^{b_i}        writtenK_j = k_j ⊙ e^{b_C − b_j}        scores_ij = Σ_c q_ic k_jc e^{b_ic − b_jc}        j ≤ i
 *
 * and b_C itself. A workgroup has a chunk's head, each of its four subgroups a block of 16 tokens, an invocation four channels.
 * A query goes back from its own token to the block's first and is decayed on the way: it meets the keys of its own block (sums
 * over the channels in f32), and arrives as the reader that the blocks before meet, whose keys are decayed to the border (f16).
 * All decays are products of gates' exponentials, so none is above 1.
 */
export function mixedVectorWgsl({ dk, keysRead }: MixedVector): string {
  const stride = dk + PADDING;
  const quads = dk / 4;
  const rows = Array.from({ length: ROWS }, (_, j) => j);
  const backwards = rows.toReversed();
  const rowAt = (row: string): string =>
    `((chunk.start + min(first + ${row}, chunk.tokens - 1)) * sizes.heads + head) * ${quads} + quad`;
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

  const oneReader = (n: number, decayed: string, scores: string): string => `{
    let i = i0 + ${n};
    var read = vec4f();
    ${backwards
      .map(
        (j) => `${j % 4 === n ? `read = select(read, own${n}, i == ${j});` : ''}
    var sum${j} = dot(read, key${j});
    read *= decay${j};`,
      )
      .join('\n')}
    ${reduce}
    sum0 += subgroupShuffleXor(sum0, 16);
    if (lane < 16) {
      ${scores}[scores0 + (first + i) * 64 + first + lane] = sum0;
    }
    if (isChannel && first + i < chunk.tokens) {
      ${decayed}[${rowAt('i')}] = toStart * read;
    }
    let unit = unitOf(subgroupMax(largestOf(read)));
    if (lane == 0) {
      unitReaders[first + i] = unit;
    }
    if (subgroup > 0 && isChannel) {
      ${putHalves('readers', `(first - 16 + i) * ${stride} + 4 * lane`, 'inverseOf(unit) * read')}
    }
  }`;
  // Loops are not written out where the code would be more than the multiprocessor's store of instructions.
  const readOwnBlock = (tensor: string, decayed: string, scores: string): string => `{
    ${times(4, (n) => `var next${n} = ${tensor}[${rowAt(`${n}`)}];`)}
    for (var i0 = 0u; i0 < 16; i0 += 4) {
      ${times(
        4,
        (n) => `let own${n} = select(vec4f(), next${n}, isChannel);
      next${n} = ${tensor}[${rowAt(`i0 + ${4 + n}`)}];`,
      )}
      ${times(4, (n) => oneReader(n, decayed, scores))}
    }
  }`;
  const readOtherBlocks = (scores: string): string => `for (var tile0 = 0u; tile0 < ${TILES}; tile0 += 4) {
    let tile = tile0 + subgroup;
    let reader = 1 + u32(tile > 0) + u32(tile > 2);
    let writer = tile - reader * (reader - 1) / 2;
    if (tile < ${TILES}) {
      var product = Sums();
      ${times(
        dk / 16,
        (step) => `product = subgroupMatrixMultiplyAccumulate(
        subgroupMatrixLoad<Left, row_major>(&readers, (reader - 1) * ${ROWS * stride} + ${16 * step}, ${stride}),
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
        ${scores}[scores0 + i * 64 + j] = unitReaders[i] * unitKeys[j] * results[256 * subgroup + ${32 * n} + lane];
      }`,
      )}
    }
    workgroupBarrier();
  }`;

  return `${mixedCommon}

/** Of blocks 1 to 3. */
var<workgroup> readers: array<f16, ${3 * ROWS * stride}>;
/** Of each pair of blocks. */
var<workgroup> keys: array<f16, ${TILES * ROWS * stride}>;
/** Of whole blocks, by channel. */
var<workgroup> blockDecays: array<vec4f, ${4 * quads}>;
/** Of whole blocks the gates' sums, whole numbers and fractions; then fragments on their way. */
var<workgroup> results: array<f32, 1024>;
/** What rows were divided by. */
var<workgroup> unitReaders: array<f32, 64>;
var<workgroup> unitKeys: array<f32, 64>;

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
    (j) => `var key${j} = k[${rowAt(`${j}`)}];
  var decay${j} = logDecay[${rowAt(`${j}`)}];`,
  )}
  var whole = vec4f();
  var fraction = vec4f();
  var blockDecay = vec4f(1);
  ${times(
    ROWS,
    (j) => `key${j} = select(vec4f(), key${j}, isChannel);
  {
    let gate = select(vec4f(), decay${j}, first + ${j} < chunk.tokens);
    whole += ceil(gate);
    fraction += gate - ceil(gate);
    decay${j} = exp(gate);
    blockDecay *= decay${j};
  }`,
  )}
  ${times(
    4,
    (c) => `results[subgroup * 256 + ${c} * 32 + lane] = whole[${c}];
  results[subgroup * 256 + ${4 + c} * 32 + lane] = fraction[${c}];`,
  )}
  if (isChannel) {
    blockDecays[subgroup * ${quads} + quad] = blockDecay;
  }
  workgroupBarrier();
  var toStart = vec4f(1);
  var toEnd = vec4f(1);
  for (var block = 0u; block < 4; block++) {
    let between = blockDecays[block * ${quads} + quad];
    toStart *= select(vec4f(1), between, block < subgroup);
    toEnd *= select(vec4f(1), between, block > subgroup);
  }
  // An invocation's number is a component's and a lane's.
  if (lane < ${quads}) {
    var sum = vec2f();
    ${times(4, (block) => `sum += vec2f(results[${256 * block} + local], results[${256 * block + 128} + local]);`)}
    let carry = ceil(sum.y);
    sums[((chunk.start + chunk.tokens - 1) * sizes.heads + head) * ${dk} + 4 * lane + subgroup] = sum + vec2f(carry, -carry);
  }

  ${readOwnBlock('q', 'readQ', 'scores')}
  {
    var suffix = vec4f(1);
    ${backwards
      .map(
        (j) => `{
      let key = key${j} * suffix;
      let unit = unitOf(subgroupMax(largestOf(key)));
      if (lane == 0) {
        unitKeys[first + ${j}] = unit;
      }
      if (isChannel && first + ${j} < chunk.tokens) {
        writtenK[${rowAt(`${j}`)}] = toEnd * key;
      }
      suffix *= decay${j};
    }`,
      )
      .join('\n')}
  }
  workgroupBarrier();
  if (isChannel) {
    var between = vec4f(1);
    for (var reader = subgroup + 1; reader < 4; reader++) {
      let place = (reader * (reader - 1) / 2 + subgroup) * ${ROWS * stride} + 4 * lane;
      var suffix = between;
      ${backwards
        .map(
          (
            j,
          ) => `${putHalves('keys', `place + ${j * stride}`, `inverseOf(unitKeys[first + ${j}]) * key${j} * suffix`)}
      suffix *= decay${j};`,
        )
        .join('\n')}
      between *= blockDecays[reader * ${quads} + quad];
    }
  }
  workgroupBarrier();
  ${readOtherBlocks('scores')}
  ${
    keysRead
      ? `${readOwnBlock('k', 'readK', 'keyScores')}
  workgroupBarrier();
  ${readOtherBlocks('keyScores')}`
      : ''
  }
}`;
}
