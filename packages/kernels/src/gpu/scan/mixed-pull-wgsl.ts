// The text of pull.wgsl on matrix units.
import { PADDING, putHalves, times } from '../matrix-units.ts';
import { chunkMain, mixedCommon } from './mixed-operands.ts';

/** Columns of a workgroup. */
const COLUMNS = 64;
const STRIDE = COLUMNS + PADDING;
/** Rows of a block. */
const ROWS = 16;

export const MIXED_PULL_BYTES =
  2 * STRIDE * (64 + 6 * ROWS) + 16 * 256 + 4 * 64 * COLUMNS + 4 * 4 * COLUMNS + 8 * 8;

export interface MixedPull {
  readonly toEnd: boolean;
  /** No pair of a token with itself. */
  readonly strict?: boolean;
  /** Values are multiplied with −`strengths` of their token. */
  readonly weakened?: boolean;
  /** z is decayed already, and takes more. */
  readonly adds?: boolean;
}

/**
 * As pull.wgsl, without a bonus and without `gates`. A workgroup has 64 channels of a chunk's head, each of its eight subgroups
 * 32 of them for a block of 16 tokens, an invocation one channel. What a token gets from its own block is summed in f32 while the others' values walk
 * to it, decayed on the way; at the block's border they become the operand (f16) that blocks beyond are multiplied with. Blocks have
 * places in the order of the walk, which goes backwards in time for the gradient of writers (`toEnd`).
 */
export function mixedPullWgsl({ toEnd, strict = false, weakened = false, adds = false }: MixedPull): string {
  const rows = Array.from({ length: ROWS }, (_, n) => n);
  const order = toEnd ? rows.toReversed() : rows;
  // The decay between the row before in the order and this one.
  const step = (n: number): string | undefined =>
    toEnd ? (n === 0 ? undefined : `decay${order[n - 1]}`) : `decay${order[n]}`;
  const walk = order
    .map((row, n) => {
      const factor = step(n);
      const met = order.slice(0, n);
      return `${factor ? `${met.map((other) => `value${other} *= ${factor};`).join('\n')}\nwalked *= ${factor};` : ''}
  let walked${row} = walked;
  var own${row} = 0f;
  ${[0, 1, 2, 3]
    .filter((quad) => [...met, row].some((other) => other >> 2 === quad))
    .map(
      (quad) => `{
    let four = ownPairs[block * 64 + ${4 * row + quad}];
    ${[...met, row]
      .filter((other) => other >> 2 === quad)
      .map((other) => `own${row} += four[${other & 3}] * value${other};`)
      .join('\n')}
  }`,
    )
    .join('\n')}`;
    })
    .join('\n');

  return `${mixedCommon}

/** By tokens that get and tokens that give. */
var<workgroup> pairs: array<f16, ${64 * STRIDE}>;
/** The same of each block with itself. */
var<workgroup> ownPairs: array<vec4f, 256>;
/** Of each pair of places, what the earlier one gives. */
var<workgroup> given: array<f16, ${6 * ROWS * STRIDE}>;
var<workgroup> results: array<f32, ${64 * COLUMNS}>;
/** Of whole blocks, by place. */
var<workgroup> blockDecays: array<f32, ${4 * COLUMNS}>;
var<workgroup> largest: array<vec2u, 8>;

${chunkMain(256)}
  let block = subgroup / 2;
  let place = ${toEnd ? '3 - block' : 'block'};
  let first = 16 * block;
  /** Of the workgroup's. */
  let c = 32 * (subgroup % 2) + lane;
  let pairs0 = (group.z * sizes.heads + head) * 1024;
  let column = group.x * ${COLUMNS} + c;

  ${times(
    4,
    (n) => `let i${n} = ${16 * n} + local / 16;
  var four${n} = scores[pairs0 + i${n} * 16 + local % 16];`,
  )}
  ${times(
    ROWS,
    (
      n,
    ) => `let at${n} = ((chunk.start + min(first + ${n}, chunk.tokens - 1)) * sizes.heads + head) * sizes.keyWidth + column;
  var value${n} = y[at${n}];
  var decay${n} = logDecay[at${n}];`,
  )}
  let j = local % 16 * 4 + vec4u(0, 1, 2, 3);
  ${times(4, (n) => `four${n} = select(vec4f(), four${n}, (j ${strict ? '<' : '<='} vec4u(i${n})) & vec4<bool>(i${n} < chunk.tokens));`)}
  ${times(
    ROWS,
    (
      n,
    ) => `value${n} = select(0f, ${weakened ? `-strengths[(chunk.start + min(first + ${n}, chunk.tokens - 1)) * sizes.heads + head] * ` : ''}value${n}, first + ${n} < chunk.tokens);
  decay${n} = select(1f, exp(decay${n}), first + ${n} < chunk.tokens);`,
  )}
  {
    var most = vec2u();
    ${times(4, (n) => `most.x = max(most.x, largestOf(four${n}));`)}
    ${times(ROWS / 4, (n) => `most.y = max(most.y, largestOf(vec4f(${[0, 1, 2, 3].map((m) => `value${4 * n + m}`).join(', ')})));`)}
    let found = subgroupMax(most);
    if (lane == 0) {
      largest[subgroup] = found;
    }
  }
  ${times(
    4,
    (n) => `if (i${n} / 16 == local % 16 / 4) {
    ${
      toEnd
        ? times(
            4,
            (c) =>
              `ownPairs[i${n} / 16 * 64 + (local % 4 * 4 + ${c}) * 4 + i${n} % 16 / 4][i${n} % 4] = four${n}.${'xyzw'[c]};`,
          )
        : `ownPairs[i${n} / 16 * 64 + i${n} % 16 * 4 + local % 4] = four${n};`
    }
  }`,
  )}
  workgroupBarrier();
  let most = ${[0, 1, 2, 3, 4, 5, 6, 7].map((n) => `largest[${n}]`).reduce((a, b) => `max(${a}, ${b})`)};
  let unitPairs = unitOf(most.x);
  let unitValues = unitOf(most.y);
  {
    let inverse = inverseOf(unitPairs);
    ${times(4, (n) =>
      toEnd
        ? times(
            4,
            (c) =>
              `pairs[(local % 16 * 4 + ${c}) * ${STRIDE} + i${n}] = f16(inverse * four${n}.${'xyzw'[c]});`,
          )
        : putHalves('pairs', `i${n} * ${STRIDE} + local % 16 * 4`, `inverse * four${n}`),
    )}
  }

  var walked = 1f;
  ${walk}
  ${toEnd ? `${rows.map((n) => `value${n} *= decay0;`).join('\n')}\nwalked *= decay0;` : ''}
  blockDecays[place * ${COLUMNS} + c] = walked;
  workgroupBarrier();
  {
    var between = inverseOf(unitValues);
    for (var to = place + 1; to < 4; to++) {
      let at = (to * (to - 1) / 2 + place) * ${ROWS * STRIDE} + c;
      ${times(ROWS, (n) => `given[at + ${n * STRIDE}] = f16(between * value${n});`)}
      between *= blockDecays[to * ${COLUMNS} + c];
    }
  }
  ${times(ROWS, (n) => `let z${n} = z[at${n}];`)}
  workgroupBarrier();

  let half = 32 * (subgroup % 2);
  ${times(2, (n) => `var sum${n} = Sums();`)}
  for (var source = 0u; source < place; source++) {
    let left = subgroupMatrixLoad<Left, row_major>(&pairs, first * ${STRIDE} + 16 * ${toEnd ? '(3 - source)' : 'source'}, ${STRIDE});
    let at = (place * (place - 1) / 2 + source) * ${ROWS * STRIDE};
    ${times(2, (n) => `sum${n} = subgroupMatrixMultiplyAccumulate(left, subgroupMatrixLoad<Right, row_major>(&given, at + half + ${16 * n}, ${STRIDE}), sum${n});`)}
  }
  ${times(2, (n) => `subgroupMatrixStore<row_major>(&results, first * ${COLUMNS} + half + ${16 * n}, sum${n}, ${COLUMNS});`)}
  workgroupBarrier();

  var toBorder = 1f;
  for (var before = 0u; before < place; before++) {
    toBorder *= blockDecays[before * ${COLUMNS} + c];
  }
  let unit = unitPairs * unitValues;
  ${times(
    ROWS,
    (n) => `if (first + ${n} < chunk.tokens) {
    let others = unit * results[(first + ${n}) * ${COLUMNS} + c];
    z[at${n}] = ${adds ? `z${n} + sizes.scoreScale * (walked${n} * others + own${n})` : `walked${n} * (toBorder * z${n} + sizes.scoreScale * others) + sizes.scoreScale * own${n}`};
  }`,
  )}
}`;
}
