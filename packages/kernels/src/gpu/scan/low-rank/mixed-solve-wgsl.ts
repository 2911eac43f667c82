// The text of a chunk's triangular system, and of what it does to the state, on matrix units. See mixed-operands.ts.
import { FRAGMENT, PADDING, putQuad, QUAD, times } from '../../matrix-units.ts';
import { bringRows, CHUNK, chunkMain, mixedCommon } from '../mixed-operands.ts';
import { blockAt, INVERSE_HALVES, stepHalves, strengthOf, triangle } from './mixed-operands.ts';

export interface MixedSolve {
  readonly dk: number;
  readonly dv: number;
  /** For the gradient, whose way is from the last chunk to the first. */
  readonly turned: boolean;
  /** Keys come decayed, and the scores as well: there is a gate for each channel. */
  readonly given: boolean;
}

/** Some of T's blocks. */
interface Blocks {
  readonly count: number;
  /** Text of the place of the one that vector `quad` of all of theirs is in. */
  readonly place: string;
}

const BLOCK = FRAGMENT ** 2;
const BLOCKS = triangle.length;
/** Of lower parts, which would be too small for f16. */
const LIFT = 2048;
/** Vectors of a block, and of all. */
const BLOCK_QUADS = BLOCK / QUAD;
const QUADS = BLOCKS * BLOCK_QUADS;
/** Of a row of `width` values. */
const strideOf = (width: number): number => (width + PADDING) / QUAD;
/** Of `other`: rows of keys, or T's blocks in two parts, the lower ones behind the others. */
const otherQuads = (dk: number): number => Math.max(CHUNK * strideOf(dk), 2 * QUADS);

export const mixedSolveBytes = ({ dk, dv }: Pick<MixedSolve, 'dk' | 'dv'>): number =>
  16 * QUADS + 8 * (CHUNK * strideOf(Math.max(dk, dv)) + otherQuads(dk)) + 6 * 4 * CHUNK + 8 * 8;

/**
 * T, M and H of one chunk and head, with a subgroup for each 16 key channels. N, and T in its place, are f32: blocks of 16 by
 * substitution, then blocks of 32 and 64 of those. All other products are of f16.
 */
export function mixedSolveWgsl({ dk, dv, turned, given }: MixedSolve): string {
  const subgroups = dk / FRAGMENT;
  const invocations = 32 * subgroups;

  // Rows: four values of an invocation in each pass.
  const passesOf = (width: number): number => (CHUNK * width) / 4 / invocations;
  const rowOf = (width: number, p: number): string => `((local + ${p * invocations}) / ${width / 4})`;
  const placeOf = (width: number, p: number): string =>
    `${rowOf(width, p)} * ${strideOf(width)} + local % ${width / 4}`;
  const read = (name: string, width: number): string =>
    times(
      passesOf(width),
      (p) =>
        `let raw${p} = ${name}[((chunk.start + min(${rowOf(width, p)}, chunk.tokens - 1)) * sizes.heads + head) * ${width / 4} + local % ${width / 4}];`,
    );
  const known = (width: number, p: number): string =>
    `select(vec4f(), raw${p}, ${rowOf(width, p)} < chunk.tokens)`;
  /** Rows times factors, all divided by a unit. They are on their way while `meanwhile` is done. */
  const bring = (
    name: string,
    width: number,
    {
      to,
      unit,
      factor,
      meanwhile = '',
    }: { to: string; unit: string; factor: (row: string) => string; meanwhile?: string },
  ): string => `{
    ${read(name, width)}
    ${meanwhile}
    var most = 0u;
    ${times(
      passesOf(width),
      (p) => `let values${p} = ${factor(rowOf(width, p))} * ${known(width, p)};
    most = max(most, largestOf(values${p}));`,
    )}
    ${agree('vec2u(most, 0)')}
    ${unit} = unitOf(largestOfAll().x);
    let inverse = inverseOf(${unit});
    ${times(passesOf(width), (p) => putQuad(to, placeOf(width, p), `inverse * values${p}`))}
    workgroupBarrier();
  }`;
  const agree = (values: string): string => `{
      let found = subgroupMax(${values});
      if (lane == 0) {
        largest[subgroup] = found;
      }
      workgroupBarrier();
    }`;

  // What rows of keys are multiplied with, beside the decay that they may have already.
  const recalled = (row: string): string => `(-strengths[${row}] * startDecays[${row}])`;
  const writing = (row: string): string => `endDecays[${row}]`;
  const [first, second] = turned ? [recalled, writing] : [writing, recalled];
  const [firstKeys, secondKeys] = turned ? ['recalls', 'writes'] : ['writes', 'recalls'];

  const makePairs = times(
    Math.ceil(BLOCKS / subgroups),
    (n) => `{
    let block = subgroup + ${n * subgroups};
    if (block < ${BLOCKS}) {
      let row = rowOfBlock(block);
      let column = columnOfBlock(block);
      var pair = Sums();
      ${times(
        dk / FRAGMENT,
        (step) => `pair = subgroupMatrixMultiplyAccumulate(
        subgroupMatrixLoad<Left, row_major>(&own, row * ${16 * strideOf(dk)} + ${4 * step}, ${strideOf(dk)}),
        subgroupMatrixLoad<Right, col_major>(&own, column * ${16 * strideOf(dk)} + ${4 * step}, ${strideOf(dk)}), pair);`,
      )}
      subgroupMatrixStore<row_major>(&matrix, ${BLOCK_QUADS} * block, pair, 4);
    }
  }`,
  );
  // Vectors of N's blocks, some of an invocation: `block`, row i, columns from j on.
  const quadPasses = Math.ceil(QUADS / invocations);
  const eachQuad = (line: (p: number) => string): string =>
    times(
      quadPasses,
      (p) => `{
      let at = local + ${p * invocations};
      let block = at / ${BLOCK_QUADS};
      let i = 16 * rowOfBlock(block) + at % ${BLOCK_QUADS} / 4;
      let j = 16 * columnOfBlock(block) + at % 4 * 4;
      ${(p + 1) * invocations > QUADS ? `if (at < ${QUADS}) {\n${line(p)}\n}` : line(p)}
    }`,
    );
  const ofFourTokens = (value: (token: string) => string): string =>
    `vec4f(${[0, 1, 2, 3].map((n) => value(`(j + ${n})`)).join(', ')})`;
  const readScores = `${times(quadPasses, (p) => `var given${p} = vec4f();`)}
  ${eachQuad((p) => `given${p} = scores[lane0 * 1024 + i * 16 + j / 4];`)}`;
  const makeN = eachQuad(
    (p) => `let columns = j + vec4u(0, 1, 2, 3);
      ${
        given
          ? `let values = -strengths[i] * given${p};`
          : `var values = -strengths[i] * units[i] * ${ofFourTokens((token) => `units[${token}]`)} * matrix[at];
      if (gate == scalarGate) {
        let reader = tokenSums[i];
        values *= ${ofFourTokens((token) => `decayBetween(reader, tokenSums[${token}])`)};
      }`
      }
      matrix[at] = select(vec4f(), values, (columns < vec4u(i)) & vec4<bool>(i < chunk.tokens));`,
  );

  // T (I − N) = I, a row of T each invocation, from its last column to the first.
  const invertBlocks = `
  {
    let block = min(subgroup, 3);
    let at = ${BLOCK_QUADS} * (block * (block + 1) / 2 + block);
    let row = lane % 16;
    ${times(4, (c) => `var t${c} = select(vec4f(), vec4f(1), vec4u(row) == vec4u(${[0, 1, 2, 3].map((n) => 4 * c + n).join(', ')}));`)}
    ${Array.from({ length: FRAGMENT - 1 }, (_, n) => FRAGMENT - 1 - n)
      .map((m) =>
        times(Math.ceil(m / 4), (c) => `t${c} += t${m >> 2}.${'xyzw'[m & 3]} * matrix[at + ${4 * m + c}];`),
      )
      .join('\n')}
    workgroupBarrier();
    if (subgroup < 4 && lane < 16) {
      ${times(4, (c) => `matrix[at + 4 * row + ${c}] = t${c};`)}
    }
    workgroupBarrier();
  }`;
  // Blocks of 32 and 64 on matrix units: each value as two of f16, of which the products of the lower ones alone are left out.
  const split = ({ count, place }: Blocks): string =>
    times(Math.ceil((count * BLOCK_QUADS) / invocations), (n) => {
      const line = `let at = ${place} * ${BLOCK_QUADS} + quad % ${BLOCK_QUADS};
      let values = matrix[at];
      let high = vec4<f16>(values);
      other[at] = bitcast<vec2u>(high);
      ${putQuad('other', `at + ${QUADS}`, `${LIFT} * (values - vec4f(high))`)}`;
      const isPart = (n + 1) * invocations > count * BLOCK_QUADS;
      return `{
      let quad = local + ${n * invocations};
      ${isPart ? `if (quad < ${count * BLOCK_QUADS}) {\n${line}\n}` : line}
    }`;
    });
  const meetLower = (left: string, right: string): string => `{
      sum = subgroupMatrixMultiplyAccumulate(subgroupMatrixLoad<Left, row_major>(&other, ${left}, 4), subgroupMatrixLoad<Right, row_major>(&other, ${right} + ${QUADS}, 4), sum);
      sum = subgroupMatrixMultiplyAccumulate(subgroupMatrixLoad<Left, row_major>(&other, ${left} + ${QUADS}, 4), subgroupMatrixLoad<Right, row_major>(&other, ${right}, 4), sum);
    }`;
  const meet = (left: string, right: string): string =>
    `sum = subgroupMatrixMultiplyAccumulate(subgroupMatrixLoad<Left, row_major>(&other, ${left}, 4), subgroupMatrixLoad<Right, row_major>(&other, ${right}, 4), sum);`;
  /** A sum of products of blocks, `over` more than one where it is a loop's head. */
  const merge = (subgroupsWith: number, place: string, left: string, right: string, over = ''): string => `
  if (subgroup < ${subgroupsWith}) {
    ${place}
    var sum = Sums();
    ${over} ${meetLower(left, right)}
    sum = subgroupMatrixScalarMultiply(sum, ${1 / LIFT});
    ${over} { ${meet(left, right)} }
    subgroupMatrixStore<row_major>(&matrix, blockOf(row, column), sum, 4);
  }
  workgroupBarrier();`;
  const again = (blocks: Blocks): string => `${split(blocks)}
  workgroupBarrier();`;
  const ofTwo = `let row = 1 + 2 * subgroup;
    let column = 2 * subgroup;`;
  const ofFour = `let row = 2 + subgroup / 2;
    let column = subgroup % 2;`;
  const all = { count: BLOCKS, place: `(quad / ${BLOCK_QUADS})` };
  // [1, 0] and [3, 2]; [2, 0], [2, 1], [3, 0] and [3, 1].
  const two = { count: 2, place: `(1 + 7 * (quad / ${BLOCK_QUADS}))` };
  const four = { count: 4, place: `(3 + quad / ${BLOCK_QUADS} + quad / ${2 * BLOCK_QUADS})` };
  const invert = [
    invertBlocks,
    again(all),
    merge(2, ofTwo, 'blockOf(row, column)', 'blockOf(column, column)'),
    again(two),
    merge(2, ofTwo, 'blockOf(row, row)', 'blockOf(row, column)'),
    again(two),
    merge(4, ofFour, 'blockOf(row, m)', 'blockOf(m, column)', 'for (var m = column; m < 2; m++)'),
    again(four),
    merge(4, ofFour, 'blockOf(row, m)', 'blockOf(m, column)', 'for (var m = 2u; m <= row; m++)'),
  ].join('\n');

  // T as it is, and with the factors of the keys it is multiplied with.
  const keepInverse = `
  {
    var most = vec2u();
    ${times(quadPasses, (p) => `var t${p} = vec4f();\nvar met${p} = vec4f();`)}
    ${eachQuad(
      (p) => `t${p} = matrix[at];
      met${p} = t${p} * ${
        turned ? ofFourTokens((token) => `${first(token)} * units[${token}]`) : `(${first('i')} * units[i])`
      };
      most = max(most, vec2u(largestOf(t${p}), largestOf(met${p})));`,
    )}
    ${agree('most')}
    let both = largestOfAll();
    let unit = unitOf(both.x);
    let inverse = inverseOf(unit);
    unitL = unitOf(both.y);
    let inverseMet = inverseOf(unitL);
    let inverse0 = lane0 * ${INVERSE_HALVES / QUAD};
    ${eachQuad(
      (p) => `inverses[inverse0 + at] = packed(inverse * t${p});
      ${putQuad('other', 'at', `inverseMet * met${p}`)}`,
    )}
    if (local == 0) {
      inverses[inverse0 + ${QUADS}] = packed(vec4f(exponentOf(unit)));
    }
    workgroupBarrier();
  }`;

  // L: 16 channels of each subgroup, which end up in registers.
  const rowBlocks = [0, 1, 2, 3];
  const ofL = rowBlocks.flatMap((r) =>
    [0, 1].map((n) => ({
      r,
      n,
      name: `l${r}x${n}`,
      row: `(${16 * r + 8 * n} + lane / 4)`,
    })),
  );
  const makeL = `
  ${times(4, (r) => `var sum${r} = Sums();`)}
  {
    ${times(4, (j) => `let right${j} = subgroupMatrixLoad<Right, row_major>(&own, ${16 * j * strideOf(dk)} + 4 * subgroup, ${strideOf(dk)});`)}
    ${triangle
      .map(({ row, column }) => {
        const [order, z, x] = turned ? ['row_major', row, column] : ['col_major', column, row];
        return `sum${z} = subgroupMatrixMultiplyAccumulate(subgroupMatrixLoad<Left, ${order}>(&other, ${blockAt(row, column) / QUAD}, 4), right${x}, sum${z});`;
      })
      .join('\n')}
  }
  ${rowBlocks
    .map(
      (r) => `subgroupMatrixStore<row_major>(&matrix, ${BLOCK_QUADS} * subgroup, sum${r}, 4);
  workgroupBarrier();
  ${ofL
    .filter((value) => value.r === r)
    .map(({ n, name }) => `let ${name} = unitL * matrix[${BLOCK_QUADS} * subgroup + ${32 * n} + lane];`)
    .join('\n')}
  workgroupBarrier();`,
    )
    .join('\n')}`;
  /** In `other`, divided by `unitL`. */
  const keepL = `{
    var most = 0u;
    ${ofL.map(({ name }) => `most = max(most, largestOf(${name}));`).join('\n')}
    ${agree('vec2u(most, 0)')}
    unitL = unitOf(largestOfAll().x);
    let inverse = inverseOf(unitL);
    ${ofL.map(({ name, row }) => putQuad('other', `${row} * ${strideOf(dk)} + 4 * subgroup + lane % 4`, `inverse * ${name}`)).join('\n')}
    workgroupBarrier();
  }`;

  // `other` and `own` multiplied over the tokens: 16 rows of each subgroup, of some columns of fragments.
  const columnsOf = (width: number): number[] => Array.from({ length: width / FRAGMENT }, (_, c) => c);
  const begin = (columns: readonly number[]): string =>
    columns.map((c) => `var total${c} = Sums();`).join('\n');
  const multiply = (width: number, columns: readonly number[]): string =>
    times(
      4,
      (j) => `{
    let left = subgroupMatrixLoad<Left, col_major>(&other, ${16 * j * strideOf(dk)} + 4 * subgroup, ${strideOf(dk)});
    ${columns
      .map(
        (c) =>
          `total${c} = subgroupMatrixMultiplyAccumulate(left, subgroupMatrixLoad<Right, row_major>(&own, ${16 * j * strideOf(width) + 4 * c}, ${strideOf(width)}), total${c});`,
      )
      .join('\n')}
  }`,
    );
  const leave = (name: string, width: number, columns: readonly number[]): string =>
    columns
      .map(
        (c) => `subgroupMatrixStore<row_major>(&matrix, ${BLOCK_QUADS} * subgroup, total${c}, 4);
    workgroupBarrier();
    ${times(
      2,
      (n) => `{
      let values = matrix[${BLOCK_QUADS} * subgroup + ${32 * n} + lane];
      most = max(most, largestOf(values));
      ${name}[block + (subgroup * ${width / FRAGMENT} + ${c}) * ${BLOCK_QUADS} + ${32 * n} + lane] = packed(fitting * values);
    }`,
    )}
    workgroupBarrier();`,
      )
      .join('\n');
  /** Leaves products, a few columns at a time: more registers would leave room for fewer workgroups. */
  const deliver = (name: string, width: number, fitting: string, making?: string): string => {
    const columns = columnsOf(width);
    const some = [columns.slice(0, columns.length / 2), columns.slice(columns.length / 2)];
    return `{
    let block = lane0 * ${stepHalves({ rows: dk, columns: width }) / QUAD};
    var most = 0u;
    ${making ?? ''}
    let unit = unitL * unitOwn;
    let fitting = ${fitting};
    ${
      making
        ? leave(name, width, columns)
        : some
            .map((part) => `{\n${begin(part)}\n${multiply(width, part)}\n${leave(name, width, part)}\n}`)
            .join('\n')
    }
    ${agree('vec2u(most, 0)')}
    if (local == 0) {
      ${name}[block + ${(dk * width) / QUAD}] = vec2u(
        pack2x16float(vec2f(exponentOf(unit / fitting))),
        bitcast<u32>(unit * bitcast<f32>(largestOfAll().x)),
      );
    }
    workgroupBarrier();
  }`;
  };
  const own = { to: 'own', unit: 'unitOwn' };
  /** Of L and y, and of queries and the gradient of what they read. */
  const both = `${begin(columnsOf(dv))}
    ${multiply(dv, columnsOf(dv))}
    let unitBefore = unitL * unitOwn;
    ${bring('dO', dv, { ...own, factor: () => '1f' })}
    ${bring('q', dk, { to: 'other', unit: 'unitL', factor: (row) => `(sizes.stateScale * startDecays[${row}])` })}
    let ratio = unitBefore / (unitL * unitOwn);
    ${columnsOf(dv)
      .map((c) => `total${c} = subgroupMatrixScalarMultiply(total${c}, ratio);`)
      .join('\n')}
    ${multiply(dv, columnsOf(dv))}`;

  return `${mixedCommon}
${strengthOf}

/** N, then T, by blocks on and below the diagonal; then fragments on their way. */
var<workgroup> matrix: array<vec4f, ${QUADS}>;
/** Keys, then values. */
var<workgroup> own: array<vec2u, ${CHUNK * strideOf(Math.max(dk, dv))}>;
/** T as an operand, then L. */
var<workgroup> other: array<vec2u, ${otherQuads(dk)}>;
/** What rows of \`own\` were divided by. */
var<workgroup> units: array<f32, 64>;
var<workgroup> strengths: array<f32, 64>;
var<workgroup> startDecays: array<f32, 64>;
var<workgroup> endDecays: array<f32, 64>;
var<workgroup> tokenSums: array<vec2f, 64>;
var<workgroup> largest: array<vec2u, ${subgroups}>;

fn largestOfAll() -> vec2u {
  var most = largest[0];
  ${times(subgroups - 1, (i) => `most = max(most, largest[${i + 1}]);`)}
  return most;
}

/** As f16, subnormals too. */
fn packed(values: vec4f) -> vec2u {
  return vec2u(pack2x16float(values.xy), pack2x16float(values.zw));
}

fn rowOfBlock(block: u32) -> u32 {
  return u32(block > 0) + u32(block > 2) + u32(block > 5);
}

fn columnOfBlock(block: u32) -> u32 {
  let row = rowOfBlock(block);
  return block - row * (row + 1) / 2;
}

fn blockOf(row: u32, column: u32) -> u32 {
  return ${BLOCK_QUADS} * (row * (row + 1) / 2 + column);
}

${chunkMain(invocations)}
  let lane0 = group.z * sizes.heads + head;
  var unitL = 1f;

  if (local < 64) {
    let row = (chunk.start + min(local, chunk.tokens - 1)) * sizes.heads + head;
    strengths[local] = strengthOf(row);
    startDecays[local] = 1;
    endDecays[local] = 1;
    if (gate == scalarGate) {
      let sum = sums[row];
      tokenSums[local] = sum;
      startDecays[local] = decayBetween(sum, vec2f());
      endDecays[local] = decayBetween(sums[(chunk.start + chunk.tokens - 1) * sizes.heads + head], sum);
    }
  }
  ${given ? readScores : ''}
  ${bringRows({ name: firstKeys, width: dk, array: 'own', stride: strideOf(dk), invocations, leaveUnit: 'units[row] = unit' })}
  workgroupBarrier();
  ${given ? '' : `${makePairs}\nworkgroupBarrier();`}
  ${makeN}
  workgroupBarrier();
  ${invert}
  ${keepInverse}
  ${makeL}
  var unitOwn = 1f;
  ${bring(secondKeys, dk, { ...own, factor: second, meanwhile: keepL })}
  // Sums of 64 products of values below 2 are below 2^8, which f16 has room for 2^7 times.
  ${deliver('transitions', dk, '128f')}
  ${bring('y', dv, { ...own, factor: (row) => (turned ? '1f' : `strengths[${row}]`) })}
  ${turned ? deliver('additions', dv, '64 / max(ratio, 1)', both) : deliver('additions', dv, '128f')}
}`;
}
