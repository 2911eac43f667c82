// The text of a chunk's triangular system, and of what it does to the state, on matrix units. See mixed-operands.ts.
import { FRAGMENT, PADDING, putHalves, times } from '../../matrix-units.ts';
import { CHUNK, mixedCommon } from '../mixed-operands.ts';
import { blockAt, INVERSE_HALVES, stepHalves, strengthOf, triangle } from './mixed-operands.ts';

export interface MixedSolve {
  readonly dk: number;
  readonly dv: number;
  /** For the gradient, whose way is from the last chunk to the first. */
  readonly turned: boolean;
  /** Keys come decayed, and the scores as well: there is a gate for each channel. */
  readonly given: boolean;
}

const BLOCK = FRAGMENT ** 2;
const BLOCKS = triangle.length;
/** Of lower parts, which would be too small for f16. */
const LIFT = 2048;
/** From a value to the lower part of it. */
const LOWER = BLOCKS * BLOCK;
/** Of `other`: rows of keys, or T's blocks in two parts. */
const otherHalves = (dk: number): number => Math.max(CHUNK * (dk + PADDING), 2 * LOWER);

export const mixedSolveBytes = ({ dk, dv }: Pick<MixedSolve, 'dk' | 'dv'>): number =>
  4 * BLOCKS * BLOCK + 2 * (CHUNK * (Math.max(dk, dv) + PADDING) + otherHalves(dk)) + 6 * 4 * CHUNK + 8 * 8;

/**
 * T, M and H of one chunk and head, with a subgroup for each 16 key channels. N, and T in its place, are f32: blocks of 16 by
 * substitution, then blocks of 32 and 64 of those. All other products are of f16.
 */
export function mixedSolveWgsl({ dk, dv, turned, given }: MixedSolve): string {
  const subgroups = dk / FRAGMENT;
  const invocations = 32 * subgroups;
  const strideOf = (width: number): number => width + PADDING;

  // Rows: four values of an invocation in each pass.
  const passesOf = (width: number): number => (CHUNK * width) / 4 / invocations;
  const rowOf = (width: number, p: number): string => `((local + ${p * invocations}) / ${width / 4})`;
  const placeOf = (width: number, p: number): string =>
    `${rowOf(width, p)} * ${strideOf(width)} + local % ${width / 4} * 4`;
  const read = (name: string, width: number): string =>
    times(
      passesOf(width),
      (p) =>
        `let raw${p} = ${name}[((chunk.start + min(${rowOf(width, p)}, chunk.tokens - 1)) * sizes.heads + head) * ${width / 4} + local % ${width / 4}];`,
    );
  const known = (width: number, p: number): string =>
    `select(vec4f(), raw${p}, ${rowOf(width, p)} < chunk.tokens)`;
  /** Keys into `own`, each row divided by its unit. */
  const bringApart = (name: string): string => `{
    ${read(name, dk)}
    ${times(
      passesOf(dk),
      (p) => `{
      let values = ${known(dk, p)};
      let unit = unitOf(subgroupMax(largestOf(values)));
      if (local % ${dk / 4} == 0) {
        units[${rowOf(dk, p)}] = unit;
      }
      ${putHalves('own', placeOf(dk, p), 'inverseOf(unit) * values')}
    }`,
    )}
  }`;
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
    ${times(passesOf(width), (p) => putHalves(to, placeOf(width, p), `inverse * values${p}`))}
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
        subgroupMatrixLoad<Left, row_major>(&own, row * ${16 * strideOf(dk)} + ${16 * step}, ${strideOf(dk)}),
        subgroupMatrixLoad<Right, col_major>(&own, column * ${16 * strideOf(dk)} + ${16 * step}, ${strideOf(dk)}), pair);`,
      )}
      subgroupMatrixStore<row_major>(&matrix, ${BLOCK} * block, pair, 16);
    }
  }`,
  );
  const makeN = triangle
    .map(({ row, column }) =>
      times(
        BLOCK / invocations,
        (n) => `{
    let at = local + ${n * invocations};
    let i = ${16 * row} + at / 16;
    let j = ${16 * column} + at % 16;
    var value = -strengths[i];
    ${
      given
        ? `value *= scores[lane0 * 4096 + i * 64 + j];`
        : `value *= units[i] * units[j] * matrix[${blockAt(row, column)} + at];
    if (gate == scalarGate) {
      value *= decayBetween(tokenSums[i], tokenSums[j]);
    }`
    }
    matrix[${blockAt(row, column)} + at] = select(0f, value, j < i && i < chunk.tokens);
  }`,
      ),
    )
    .join('\n');

  const invertBlocks = `
  {
    let block = min(subgroup, 3);
    let at = ${BLOCK} * (block * (block + 1) / 2 + block);
    let column = lane % 16;
    ${times(
      FRAGMENT,
      (r) => `var t${r} = select(0f, 1f, column == ${r});
    ${times(r, (m) => `t${r} += matrix[at + ${16 * r + m}] * t${m};`)}`,
    )}
    workgroupBarrier();
    if (subgroup < 4 && lane < 16) {
      ${times(FRAGMENT, (r) => `matrix[at + ${16 * r} + column] = t${r};`)}
    }
    workgroupBarrier();
  }`;
  // Blocks of 32 and 64 on matrix units: each value as two of f16, of which the products of the lower ones alone are left out.
  const split = (blocks: readonly number[]): string =>
    blocks
      .map((block) =>
        times(
          BLOCK / invocations,
          (n) => `{
    let at = ${block} + local + ${n * invocations};
    let value = matrix[at];
    let high = f16(value);
    other[at] = high;
    other[at + ${LOWER}] = f16(${LIFT} * (value - f32(high)));
  }`,
        ),
      )
      .join('\n');
  const meetLower = (left: string, right: string): string => `{
      sum = subgroupMatrixMultiplyAccumulate(subgroupMatrixLoad<Left, row_major>(&other, ${left}, 16), subgroupMatrixLoad<Right, row_major>(&other, ${right} + ${LOWER}, 16), sum);
      sum = subgroupMatrixMultiplyAccumulate(subgroupMatrixLoad<Left, row_major>(&other, ${left} + ${LOWER}, 16), subgroupMatrixLoad<Right, row_major>(&other, ${right}, 16), sum);
    }`;
  const meet = (left: string, right: string): string =>
    `sum = subgroupMatrixMultiplyAccumulate(subgroupMatrixLoad<Left, row_major>(&other, ${left}, 16), subgroupMatrixLoad<Right, row_major>(&other, ${right}, 16), sum);`;
  /** A sum of products of blocks, `over` more than one where it is a loop's head. */
  const merge = (subgroupsWith: number, place: string, left: string, right: string, over = ''): string => `
  if (subgroup < ${subgroupsWith}) {
    ${place}
    var sum = Sums();
    ${over} ${meetLower(left, right)}
    sum = subgroupMatrixScalarMultiply(sum, ${1 / LIFT});
    ${over} { ${meet(left, right)} }
    subgroupMatrixStore<row_major>(&matrix, blockOf(row, column), sum, 16);
  }
  workgroupBarrier();`;
  const again = (blocks: readonly number[]): string => `${split(blocks)}
  workgroupBarrier();`;
  const ofTwo = `let row = 1 + 2 * subgroup;
    let column = 2 * subgroup;`;
  const ofFour = `let row = 2 + subgroup / 2;
    let column = subgroup % 2;`;
  const two = [blockAt(1, 0), blockAt(3, 2)];
  const four = [blockAt(2, 0), blockAt(2, 1), blockAt(3, 0), blockAt(3, 1)];
  const invert = [
    invertBlocks,
    again(triangle.map(({ row, column }) => blockAt(row, column))),
    merge(2, ofTwo, 'blockOf(row, column)', 'blockOf(column, column)'),
    again(two),
    merge(2, ofTwo, 'blockOf(row, row)', 'blockOf(row, column)'),
    again(two),
    merge(4, ofFour, 'blockOf(row, m)', 'blockOf(m, column)', 'for (var m = column; m < 2; m++)'),
    again(four),
    merge(4, ofFour, 'blockOf(row, m)', 'blockOf(m, column)', 'for (var m = 2u; m <= row; m++)'),
  ].join('\n');

  // T as it is, and with the factors of the keys it is multiplied with.
  const pairPasses = (BLOCKS * BLOCK) / 2 / invocations;
  const keepInverse = `
  {
    var most = vec2u();
    ${times(
      pairPasses,
      (p) => `let pair${p} = 2 * (local + ${p * invocations});
    let t${p} = vec2f(matrix[pair${p}], matrix[pair${p} + 1]);
    var met${p} = t${p};
    {
      let block = pair${p} / ${BLOCK};
      ${
        turned
          ? `let j = 16 * columnOfBlock(block) + pair${p} % 16;
      met${p} *= vec2f(${first('j')} * units[j], ${first('(j + 1)')} * units[j + 1]);`
          : `let i = 16 * rowOfBlock(block) + pair${p} % ${BLOCK} / 16;
      met${p} *= ${first('i')} * units[i];`
      }
    }
    most = max(most, vec2u(largestOf(t${p}.xyxy), largestOf(met${p}.xyxy)));`,
    )}
    ${agree('most')}
    let both = largestOfAll();
    let unit = unitOf(both.x);
    let inverse = inverseOf(unit);
    unitL = unitOf(both.y);
    let inverseMet = inverseOf(unitL);
    ${times(
      pairPasses,
      (p) => `inverses[lane0 * ${INVERSE_HALVES / 2} + pair${p} / 2] = pack2x16float(inverse * t${p});
    {
      let halves = vec2<f16>(inverseMet * met${p});
      other[pair${p}] = halves.x;
      other[pair${p} + 1] = halves.y;
    }`,
    )}
    if (local == 0) {
      inverses[lane0 * ${INVERSE_HALVES / 2} + ${(BLOCKS * BLOCK) / 2}] = pack2x16float(vec2f(exponentOf(unit)));
    }
    workgroupBarrier();
  }`;

  // L: 16 channels of each subgroup, which end up in registers.
  const rowBlocks = [0, 1, 2, 3];
  const ofL = rowBlocks.flatMap((r) =>
    Array.from({ length: 8 }, (_, n) => ({
      r,
      n,
      name: `l${r}x${n}`,
      row: `(${16 * r + 2 * n} + lane / 16)`,
    })),
  );
  const makeL = `
  ${times(4, (r) => `var sum${r} = Sums();`)}
  {
    ${times(4, (j) => `let right${j} = subgroupMatrixLoad<Right, row_major>(&own, ${16 * j * strideOf(dk)} + 16 * subgroup, ${strideOf(dk)});`)}
    ${triangle
      .map(({ row, column }) => {
        const [order, z, x] = turned ? ['row_major', row, column] : ['col_major', column, row];
        return `sum${z} = subgroupMatrixMultiplyAccumulate(subgroupMatrixLoad<Left, ${order}>(&other, ${blockAt(row, column)}, 16), right${x}, sum${z});`;
      })
      .join('\n')}
  }
  ${rowBlocks
    .map(
      (r) => `subgroupMatrixStore<row_major>(&matrix, ${BLOCK} * subgroup, sum${r}, 16);
  workgroupBarrier();
  ${ofL
    .filter((value) => value.r === r)
    .map(({ n, name }) => `let ${name} = unitL * matrix[${BLOCK} * subgroup + ${32 * n} + lane];`)
    .join('\n')}
  workgroupBarrier();`,
    )
    .join('\n')}`;
  /** In `other`, divided by `unitL`. */
  const keepL = `{
    var most = 0f;
    ${ofL.map(({ name }) => `most = max(most, abs(${name}));`).join('\n')}
    ${agree('vec2u(bitcast<u32>(most), 0)')}
    unitL = unitOf(largestOfAll().x);
    let inverse = inverseOf(unitL);
    ${ofL.map(({ name, row }) => `other[${row} * ${strideOf(dk)} + 16 * subgroup + lane % 16] = f16(inverse * ${name});`).join('\n')}
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
    let left = subgroupMatrixLoad<Left, col_major>(&other, ${16 * j * strideOf(dk)} + 16 * subgroup, ${strideOf(dk)});
    ${columns
      .map(
        (c) =>
          `total${c} = subgroupMatrixMultiplyAccumulate(left, subgroupMatrixLoad<Right, row_major>(&own, ${16 * j * strideOf(width) + 16 * c}, ${strideOf(width)}), total${c});`,
      )
      .join('\n')}
  }`,
    );
  const leave = (name: string, width: number, columns: readonly number[]): string =>
    columns
      .map(
        (c) => `subgroupMatrixStore<row_major>(&matrix, ${BLOCK} * subgroup, total${c}, 16);
    workgroupBarrier();
    ${times(
      4,
      (n) => `{
      let at = ${BLOCK} * subgroup + 2 * (${32 * n} + lane);
      let values = vec2f(matrix[at], matrix[at + 1]);
      most = max(most, max(abs(values.x), abs(values.y)));
      ${name}[block + (subgroup * ${width / FRAGMENT} + ${c}) * ${BLOCK / 2} + ${32 * n} + lane] = pack2x16float(fitting * values);
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
    let block = lane0 * ${stepHalves({ rows: dk, columns: width }) / 2};
    var most = 0f;
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
    ${agree('vec2u(bitcast<u32>(most), 0)')}
    if (local == 0) {
      ${name}[block + ${(dk * width) / 2}] = pack2x16float(vec2f(exponentOf(unit / fitting)));
      ${name}[block + ${(dk * width) / 2 + 1}] = bitcast<u32>(unit * bitcast<f32>(largestOfAll().x));
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
var<workgroup> matrix: array<f32, ${BLOCKS * BLOCK}>;
/** Keys, then values. */
var<workgroup> own: array<f16, ${CHUNK * strideOf(Math.max(dk, dv))}>;
/** T as an operand, then L. */
var<workgroup> other: array<f16, ${otherHalves(dk)}>;
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

fn rowOfBlock(block: u32) -> u32 {
  return u32(block > 0) + u32(block > 2) + u32(block > 5);
}

fn columnOfBlock(block: u32) -> u32 {
  let row = rowOfBlock(block);
  return block - row * (row + 1) / 2;
}

fn blockOf(row: u32, column: u32) -> u32 {
  return ${BLOCK} * (row * (row + 1) / 2 + column);
}

@compute @workgroup_size(${invocations})
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let chunk = chunks[group.z];
  if (chunk.tokens == 0) {
    return;
  }
  let head = group.y;
  let subgroup = local / 32;
  let lane = local % 32;
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
  ${bringApart(firstKeys)}
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
