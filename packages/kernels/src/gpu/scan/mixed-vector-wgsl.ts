// The text of what one gate for each key channel makes of a chunk's rows, on matrix units: decayed rows, and decayed scores.
import { FRAGMENT, PADDING, putQuad, QUAD, SUBGROUP, times } from '../matrix-units.ts';
import { CHUNK, chunkMain, mixedCommon } from './mixed-operands.ts';

export interface MixedVector {
  readonly dk: number;
  /** Keys read as well as queries. */
  readonly keysRead: boolean;
}

/** Tokens of a subgroup. */
const ROWS = 8;
const SUBGROUPS = CHUNK / ROWS;
const INVOCATIONS = SUBGROUP * SUBGROUPS;
/** Pairs of different tiles, reader and earlier writer: [1, 0], [2, 0], [2, 1], [3, 0], … */
const TILES = 6;
/** Tiles whose products are on their way at once. */
const AT_ONCE = 4;

export const mixedVectorBytes = ({ dk }: Pick<MixedVector, 'dk'>): number =>
  2 * (3 + TILES) * FRAGMENT * (dk + PADDING) +
  4 * SUBGROUPS * dk +
  4 * AT_ONCE * FRAGMENT ** 2 +
  4 * 3 * CHUNK;

/**
 * With the gates' running sums b in the chunk, of queries and, `keysRead`, of keys,
 *
 *     readQ_i = q_i ⊙ e^{b_i}        writtenK_j = k_j ⊙ e^{b_C − b_j}        scores_ij = Σ_c q_ic k_jc e^{b_ic − b_jc}        j ≤ i
 *
 * and b_C itself. A workgroup has a chunk's head, each of its eight subgroups a block of 8 tokens, an invocation four channels; two
 * blocks are a tile. A query goes back from its own token to the block's first and is decayed on the way: it meets the keys of its
 * own block (sums over the channels in f32). There, and at the tile's first token, it is the reader (f16) that earlier blocks meet,
 * whose keys are decayed to the same place. All decays are products of gates' exponentials, so none is above 1.
 */
export function mixedVectorWgsl({ dk, keysRead }: MixedVector): string {
  /** In vectors. */
  const stride = (dk + PADDING) / QUAD;
  const quads = dk / 4;
  const tileQuads = FRAGMENT * stride;
  const backwards = Array.from({ length: ROWS }, (_, n) => ROWS - 1 - n);
  const rowAt = (row: string): string =>
    `((chunk.start + min(first + ${row}, chunk.tokens - 1)) * sizes.heads + head) * ${quads} + quad`;
  // Eight sums over all invocations, of which each ends up with the one of its number: halves are swapped and added.
  const reduce = `${[4, 2, 1]
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
    .join('\n')}
    sum0 += subgroupShuffleXor(sum0, 8);
    sum0 += subgroupShuffleXor(sum0, 16);`;

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
    if (lane < ${ROWS}) {
      ${scores}[scores0 + (first + i) * 64 + first + lane] = sum0;
    }
    if (isChannel && first + i < chunk.tokens) {
      ${decayed}[${rowAt('i')}] = toStart * read;
    }
    if (isLate) {
      let unit = unitOf(subgroupMax(largestOf(read)));
      if (lane == 0) {
        unitMiddles[first + i] = unit;
      }
      if (isChannel) {
        ${putQuad('keys', `(${ROWS} * tile + i) * ${stride} + lane`, 'inverseOf(unit) * read')}
      }
      read *= beforeBlock;
    }
    if (tile > 0) {
      let unit = unitOf(subgroupMax(largestOf(read)));
      if (lane == 0) {
        unitReaders[first + i] = unit;
      }
      if (isChannel) {
        ${putQuad('readers', `(first - 16 + i) * ${stride} + lane`, 'inverseOf(unit) * read')}
      }
    }
  }`;
  // Loops are not written out where the code would be more than the multiprocessor's store of instructions.
  const readOwnBlock = (tensor: string, decayed: string, scores: string): string => `{
    ${times(4, (n) => `var next${n} = ${tensor}[${rowAt(`${n}`)}];`)}
    for (var i0 = 0u; i0 < ${ROWS}; i0 += 4) {
      ${times(
        4,
        (n) => `let own${n} = select(vec4f(), next${n}, isChannel);
      next${n} = ${tensor}[${rowAt(`i0 + ${4 + n}`)}];`,
      )}
      ${times(4, (n) => oneReader(n, decayed, scores))}
    }
  }`;
  // Keys decayed to the end of their block, which meet the other block of the tile; and what goes to the chunk's end.
  const writeMiddle = (rest: (j: number) => string): string => `{
    var suffix = vec4f(1);
    ${backwards
      .map(
        (j) => `{
      let key = key${j} * suffix;
      if (!isLate) {
        let unit = unitOf(subgroupMax(largestOf(key)));
        if (lane == 0) {
          unitMiddles[first + ${j}] = unit;
        }
        if (isChannel) {
          ${putQuad('keys', `${2 * tileQuads} + (${ROWS} * tile + ${j}) * ${stride} + lane`, 'inverseOf(unit) * key')}
        }
      }
      ${rest(j)}
      suffix *= decay${j};
    }`,
      )
      .join('\n')}
  }`;
  const writeRest = (j: number): string => `{
        let unit = unitOf(subgroupMax(largestOf(afterBlock * key)));
        if (lane == 0) {
          unitKeys[first + ${j}] = unit;
        }
        if (isChannel && first + ${j} < chunk.tokens) {
          writtenK[${rowAt(`${j}`)}] = toEnd * key;
        }
      }`;
  const product = (left: string, right: string): string => `var product = Sums();
      ${times(
        dk / FRAGMENT,
        (step) => `product = subgroupMatrixMultiplyAccumulate(
        subgroupMatrixLoad<Left, row_major>(${left} + ${4 * step}, ${stride}),
        subgroupMatrixLoad<Right, col_major>(${right} + ${4 * step}, ${stride}), product);`,
      )}
      subgroupMatrixStore<row_major>(&results, 256 * subgroup, product, 16);`;
  // Two tiles' late blocks and early blocks at once: half of the products are of different tiles, and are left.
  const readOtherBlock = (scores: string): string => `workgroupBarrier();
  if (subgroup < 2) {
    ${product(`&keys, subgroup * ${tileQuads}`, `&keys, ${2 * tileQuads} + subgroup * ${tileQuads}`)}
  }
  workgroupBarrier();
  if (local < 128) {
    // Of 4 tiles, rows of 8.
    let own = local / 32;
    let early = 16 * own + local % ${ROWS};
    ${times(
      2,
      (n) => `{
      let late = 16 * own + ${ROWS + 4 * n} + local / ${ROWS} % 4;
      let at = 256 * (own / 2) + (${ROWS} * (own % 2) + ${4 * n} + local / ${ROWS} % 4) * 16 + ${ROWS} * (own % 2) + local % ${ROWS};
      ${scores}[scores0 + late * 64 + early] = unitMiddles[late] * unitMiddles[early] * results[at];
    }`,
    )}
  }`;
  const readOtherTiles = (scores: string): string => `
  if (isChannel) {
    var between = afterBlock;
    for (var reader = tile + 1; reader < 4; reader++) {
      let place = (reader * (reader - 1) / 2 + tile) * ${tileQuads} + first % 16 * ${stride} + lane;
      var suffix = between;
      ${backwards
        .map(
          (
            j,
          ) => `${putQuad('keys', `place + ${j * stride}`, `inverseOf(unitKeys[first + ${j}]) * key${j} * suffix`)}
      suffix *= decay${j};`,
        )
        .join('\n')}
      between *= blockDecays[2 * reader * ${quads} + quad] * blockDecays[(2 * reader + 1) * ${quads} + quad];
    }
  }
  workgroupBarrier();
  for (var tile0 = 0u; tile0 < ${TILES}; tile0 += ${AT_ONCE}) {
    let pair = tile0 + subgroup;
    let reader = readerOf(pair);
    if (subgroup < ${AT_ONCE} && pair < ${TILES}) {
      ${product(`&readers, (reader - 1) * ${tileQuads}`, `&keys, pair * ${tileQuads}`)}
    }
    workgroupBarrier();
    ${times(
      AT_ONCE,
      (n) => `if (tile0 + ${n} < ${TILES}) {
      let reader = readerOf(tile0 + ${n});
      let i = 16 * reader + local / 16;
      let j = 16 * (tile0 + ${n} - reader * (reader - 1) / 2) + local % 16;
      ${scores}[scores0 + i * 64 + j] = unitReaders[i] * unitKeys[j] * results[${256 * n} + local];
    }`,
    )}
    workgroupBarrier();
  }`;
  const sumGates = (part: string): string => `
  ${times(4, (c) => `results[subgroup * 128 + ${32 * c} + lane] = ${part}[${c}];`)}
  workgroupBarrier();
  ${times(SUBGROUPS, (block) => `sum.${part === 'whole' ? 'x' : 'y'} += results[${128 * block} + local % 128];`)}
  workgroupBarrier();`;

  return `${mixedCommon}

/** Of tiles 1 to 3. */
var<workgroup> readers: array<vec2u, ${3 * tileQuads}>;
/** Of each pair of tiles; before, two tiles of late blocks' readers and two of early blocks' keys. */
var<workgroup> keys: array<vec2u, ${TILES * tileQuads}>;
/** Of whole blocks, by channel. */
var<workgroup> blockDecays: array<vec4f, ${SUBGROUPS * quads}>;
/** Sums of gates, then fragments, on their way. */
var<workgroup> results: array<f32, ${AT_ONCE * FRAGMENT ** 2}>;
/** What rows were divided by; in the middle of their tile. */
var<workgroup> unitReaders: array<f32, 64>;
var<workgroup> unitKeys: array<f32, 64>;
var<workgroup> unitMiddles: array<f32, 64>;

fn readerOf(pair: u32) -> u32 {
  return 1 + u32(pair > 0) + u32(pair > 2);
}

${chunkMain(INVOCATIONS)}
  let first = ${ROWS} * subgroup;
  let tile = subgroup / 2;
  let isLate = subgroup % 2 == 1;
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
  if (isChannel) {
    blockDecays[subgroup * ${quads} + quad] = blockDecay;
  }
  // An invocation's number is a component's and a lane's.
  var sum = vec2f();
  ${sumGates('whole')}
  ${sumGates('fraction')}
  if (local < 128 && lane < ${quads}) {
    let carry = ceil(sum.y);
    sums[((chunk.start + chunk.tokens - 1) * sizes.heads + head) * ${dk} + 4 * lane + subgroup] = sum + vec2f(carry, -carry);
  }
  var toStart = vec4f(1);
  var toEnd = vec4f(1);
  for (var block = 0u; block < ${SUBGROUPS}; block++) {
    let between = blockDecays[block * ${quads} + quad];
    toStart *= select(vec4f(1), between, block < subgroup);
    toEnd *= select(vec4f(1), between, block > subgroup);
  }
  // Of the other block of the tile, where that lies between this one and the tile's border.
  let other = blockDecays[(subgroup ^ 1) * ${quads} + quad];
  let beforeBlock = select(vec4f(1), other, isLate);
  let afterBlock = select(other, vec4f(1), isLate);

  ${readOwnBlock('q', 'readQ', 'scores')}
  ${writeMiddle(writeRest)}
  ${readOtherBlock('scores')}
  ${readOtherTiles('scores')}
  ${
    keysRead
      ? `${readOwnBlock('k', 'readK', 'keyScores')}
  ${writeMiddle(() => '')}
  ${readOtherBlock('keyScores')}
  ${readOtherTiles('keyScores')}`
      : ''
  }
}`;
}
