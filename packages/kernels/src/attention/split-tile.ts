// What the texts of attention on matrix units in float32 are made of: mixed-tile.ts, with two numbers of f16 for each value.
//
// A value is split into what f16 makes of it, and the rest. Of two such values all products are made but that of the rests, which
// leaves 22 bits of a mantissa (Ootomo & Yokota 2022, "Recovering single precision accuracy from Tensor Cores while surpassing the FP32
// theoretical peak performance"). Rows have units, powers of two of their own (split-pack.wgsl), and rows of factors have a gain.
//
// Matrix units truncate their sums, a little at every step and always towards zero. So sums go to memory after a run of tiles, where
// they are added as f32 are. They also go there when factors come that are too large with the row's gain: the tile is then met again,
// with a new gain.
import { FRAGMENT, fragmentTypes, PADDING, SUBGROUP, times } from '../gpu/matrix-units.ts';
import { constants, queryRange, rows, sight, sumsOf, type MixedForm } from './mixed-tile.ts';

/** Columns of subgroups. Those of the same rows share the head's columns when they make scores: each leaves a part of every score. */
const COLUMN_GROUPS = 2;
/** Values of f16, and of f32, of a vector. */
const HALVES = 8;
const FLOATS = 4;
/** Rows of a packed tile. */
const TILE = 64;
const FRAGMENT_VECTORS = FRAGMENT / HALVES;

export interface SplitForm extends MixedForm {
  /** Tiles after which sums go to memory. */
  readonly run: number;
}

type Width = Pick<MixedForm, 'fragments'>;

/** Of a head. */
const widthOf = ({ fragments }: Width): number => FRAGMENT * fragments;
/** Vectors of a packed row: the first numbers of all columns, then the second. */
const rowVectors = (form: Width): number => (2 * widthOf(form)) / HALVES;
const secondAt = (form: Width): number => widthOf(form) / HALVES;
/** Of a packed tile, its units included. */
export const tileVectors = (form: Width): number => TILE * rowVectors(form) + TILE / FLOATS;

/** Rows in workgroup memory, in vectors: of a slice, of scores, of sums on their way, and of factors (in vectors of 4 f16). */
const metStride = (form: MixedForm): number => rowVectors(form) + PADDING / HALVES;
const scoreStride = ({ met }: MixedForm): number => (met + PADDING) / FLOATS;
const sumStride = (FRAGMENT * COLUMN_GROUPS + PADDING) / FLOATS;
const factorStride = ({ met }: MixedForm): number => (2 * met + PADDING) / FLOATS;
const scoreVectors = (form: MixedForm): number =>
  form.own * Math.max(COLUMN_GROUPS * scoreStride(form), sumStride);

export const invocationsOf = ({ own }: MixedForm): number => (own / FRAGMENT) * COLUMN_GROUPS * SUBGROUP;

/** Of workgroup memory: slices, scores, factors, two numbers for each row or column, and hasGrown. */
export const bytesOf = (form: MixedForm): number =>
  16 * form.slices.length * form.met * metStride(form) +
  16 * scoreVectors(form) +
  8 * form.own * factorStride(form) +
  8 * Math.max(form.own, form.met) +
  16;

/** A subgroup has some rows of scores, some of them at once, four columns of each in an invocation. */
const rowLanes = ({ met }: MixedForm): number => met / FLOATS;

const overRow = (form: MixedForm, combine: (other: string) => string): string =>
  times(Math.log2(rowLanes(form)), (i) => `found = ${combine(`subgroupShuffleXor(found, ${2 ** i})`)};`);

/** Declarations that all modules share; what stands before them: the bindings. */
export const preamble = (form: MixedForm): string => `${fragmentTypes}
${constants(form)}
/** Powers of two of f16: what the largest factor of a row is made when it is met first, and how much larger others may be. */
const first = 10f;
const room = 5f;

/** The tile that is met. */
${form.slices.map((name) => `var<workgroup> ${name}: array<vec4u, ${form.met * metStride(form)}>;`).join('\n')}
/** Scores of the workgroup's rows with it, in two parts; and sums on their way to memory, with four numbers of the row behind them. */
var<workgroup> scores: array<vec4f, ${scoreVectors(form)}>;
/** What is made of scores. */
var<workgroup> factors: array<vec2u, ${form.own * factorStride(form)}>;
/** Whether factors are too large with their row's gain. */
var<workgroup> hasGrown: vec4u;

fn tileAt(sequence: Sequence, token: i32, head: u32, heads: u32) -> u32 {
  return ((u32(sequence.packed) + u32(token) / tile) * heads + head) * ${tileVectors(form)};
}

/** Where the packed row of a token begins, in vectors. */
fn packedAt(sequence: Sequence, token: i32, head: u32, heads: u32) -> u32 {
  return tileAt(sequence, token, head, heads) + u32(token) % tile * ${rowVectors(form)};
}

/** Where the units of a token and its neighbours are. */
fn unitsAt(sequence: Sequence, token: i32, head: u32, heads: u32) -> u32 {
  return tileAt(sequence, token, head, heads) + ${TILE * rowVectors(form)} + u32(token) % tile / 4;
}
${sight}
/** The highest of a row, of which the invocation has four. */
fn highestOfRow(four: vec4f) -> f32 {
  var found = max(max(four.x, four.y), max(four.z, four.w));
  ${overRow(form, (other) => `max(found, ${other})`)}
  return found;
}

fn totalOfRow(own: f32) -> f32 {
  var found = own;
  ${overRow(form, (other) => `found + ${other}`)}
  return found;
}

/** What brings a row's factors to where f16 has most digits, by the largest of those met first. After 0 all others are too large. */
fn gainOf(largest: f32) -> f32 {
  return exp2(first) / max(largest, 0x1p-116f);
}

fn isTooLarge(factors: vec4f) -> bool {
  return any(factors > vec4f(exp2(first + room)));
}

/** To what f16 holds: by bits, since a driver takes there and back for nothing. */
fn rounded(x: vec4f) -> vec4f {
  return bitcast<vec4f>((bitcast<vec4u>(x) + vec4u(0x1000)) & vec4u(0xffffe000));
}
`;

/** The invocation's place: the row of its fragments, and what it has of scores and factors. */
export const places = (form: MixedForm): string => `
  let subgroup = local / ${SUBGROUP};
  let ownRow = subgroup / ${COLUMN_GROUPS} * ${FRAGMENT};
  let ownGroup = subgroup % ${COLUMN_GROUPS};
  let row0 = subgroup * ${FRAGMENT / COLUMN_GROUPS} + local % ${SUBGROUP} / ${rowLanes(form)};
  let lane = local % ${rowLanes(form)};
  let column0 = 4 * lane;`;

/** The invocation's four scores of a row. */
export const fourScores = (form: MixedForm, row: number): string => {
  const part = (i: number): string =>
    `scores[row0 * ${scoreStride(form)} + lane + ${(i * form.own + row) * scoreStride(form)}]`;
  return `(${part(0)} + ${part(1)})`;
};

/** The invocation's four factors of a row. */
export const putFactors = (form: MixedForm, row: number, value: string): string => {
  const at = `factors[row0 * ${factorStride(form)} + lane + ${row * factorStride(form)}`;
  return `{
      let value = ${value};
      ${at}] = bitcast<vec2u>(vec4<f16>(rounded(value)));
      ${at} + ${form.met / FLOATS}] = bitcast<vec2u>(vec4<f16>(value - rounded(value)));
    }`;
};

const chunksOf = (form: MixedForm): number => form.met * rowVectors(form);
const heldChunks = (form: MixedForm): number => Math.ceil(chunksOf(form) / invocationsOf(form));
const chunkAt = (form: MixedForm, h: number): string => {
  const chunk = `(local + ${h * invocationsOf(form)})`;
  return chunksOf(form) % invocationsOf(form) === 0 ? chunk : `min(${chunk}, ${chunksOf(form) - 1})`;
};

export const declareNext = (form: MixedForm, name: string): string => `
  var ${name}Units = vec4f();
  ${times(heldChunks(form), (h) => `var ${name}Next${h} = vec4u();`)}`;

/** Whose rows: the arguments of packedAt besides the token. */
export interface Rows {
  readonly operand: string;
  readonly head: string;
  readonly heads: string;
}

/** A packed tile begins its way to registers, with the units of the invocation's four columns. */
export const fetch = (
  form: MixedForm,
  name: string,
  { operand, head, heads }: Rows,
  token: string,
): string => `{
      let at = packedAt(sequence, ${token}, ${head}, ${heads});
      ${times(heldChunks(form), (h) => `${name}Next${h} = ${operand}[at + ${chunkAt(form, h)}];`)}
      ${name}Units = bitcast<vec4f>(${operand}[unitsAt(sequence, ${token} + i32(column0), ${head}, ${heads})]);
    }`;

/** It arrives in workgroup memory, as late as it can: what was fetched is waited for here. */
export const put = (form: MixedForm, slice: string, name = slice): string =>
  times(
    heldChunks(form),
    (h) =>
      `${slice}[${chunkAt(form, h)} / ${rowVectors(form)} * ${metStride(form)} + ${chunkAt(form, h)} % ${rowVectors(form)}] = ${name}Next${h};`,
  );

/** The workgroup's own. */
export interface Own extends Rows {
  /** The first of them. */
  readonly token: string;
}

/** Fragments of a head's columns that a subgroup multiplies for its part of the scores, and where they begin. */
const depthOf = ({ fragments }: MixedForm): number => fragments / COLUMN_GROUPS;
const depthAt = (form: MixedForm): string => `ownGroup * ${depthOf(form) * FRAGMENT_VECTORS}`;

/** Its rows, as fragments: `packedQHigh0`, `packedQLow0` and so on. */
export const hold = (form: MixedForm, { operand, head, heads, token }: Own): string => {
  const load = (k: number, from: number): string =>
    `subgroupMatrixLoad<Left, row_major>(&${operand}, ${operand}At + ${from + FRAGMENT_VECTORS * k}, ${rowVectors(form)})`;
  return `
  let ${operand}At = packedAt(sequence, ${token} + i32(ownRow), ${head}, ${heads}) + ${depthAt(form)};
  ${times(depthOf(form), (k) => `let ${operand}High${k} = ${load(k, 0)};`)}
  ${times(depthOf(form), (k) => `let ${operand}Low${k} = ${load(k, secondAt(form))};`)}`;
};

/** The unit of one of the workgroup's rows. */
export const unitOf = ({ operand, head, heads, token }: Own, row: string): string =>
  `bitcast<vec4f>(${operand}[unitsAt(sequence, ${token} + i32(${row}), ${head}, ${heads})])[(${row}) % 4]`;

const multiply = (sum: string, left: string, right: string): string =>
  `${sum} = subgroupMatrixMultiplyAccumulate(${left}, ${right}, ${sum});`;

const scoresOf = ({ met }: MixedForm): number => met / FRAGMENT;

/** own · metᵀ over the subgroup's columns. What is small is added first: later it would be cut off. */
export const products = (form: MixedForm, name: string, { operand }: Own, slice: string): string =>
  times(scoresOf(form), (j) => {
    const load = (k: number, from: number): string =>
      `subgroupMatrixLoad<Right, col_major>(&${slice}, ${depthAt(form)} + ${j * FRAGMENT * metStride(form) + from + FRAGMENT_VECTORS * k}, ${metStride(form)})`;
    const sum = `${name}${j}`;
    return `var ${sum} = Sums();
    {
      ${times(depthOf(form), (k) => `let high${k} = ${load(k, 0)};`)}
      ${times(
        depthOf(form),
        (k) => `${multiply(sum, `${operand}High${k}`, load(k, secondAt(form)))}
      ${multiply(sum, `${operand}Low${k}`, `high${k}`)}`,
      )}
      ${times(depthOf(form), (k) => multiply(sum, `${operand}High${k}`, `high${k}`))}
    }`;
  });

/** Leaves products in `scores`. */
export const store = (form: MixedForm, name: string): string =>
  times(
    scoresOf(form),
    (j) =>
      `subgroupMatrixStore<row_major>(&scores, ownRow * ${scoreStride(form)} + ownGroup * ${form.own * scoreStride(form)} + ${(j * FRAGMENT) / FLOATS}, ${name}${j}, ${scoreStride(form)});`,
  );

/** sums += factors · met */
export const accumulate = (form: MixedForm, name: string, slice: string): string =>
  times(form.met / FRAGMENT, (k) => {
    const factor = (from: number): string =>
      `subgroupMatrixLoad<Left, row_major>(&factors, ownRow * ${factorStride(form)} + ${(from + FRAGMENT * k) / FLOATS}, ${factorStride(form)})`;
    const load = (j: number, from: number): string =>
      `subgroupMatrixLoad<Right, row_major>(&${slice}, ${FRAGMENT * k * metStride(form) + from} + (ownGroup * ${sumsOf(form)} + ${j}) * ${FRAGMENT_VECTORS}, ${metStride(form)})`;
    return `{
      let factorHigh = ${factor(0)};
      let factorLow = ${factor(form.met)};
      ${times(
        sumsOf(form),
        (j) => `{
        let high = ${load(j, 0)};
        ${multiply(`${name}${j}`, 'factorHigh', load(j, secondAt(form)))}
        ${multiply(`${name}${j}`, 'factorLow', 'high')}
        ${multiply(`${name}${j}`, 'factorHigh', 'high')}
      }`,
      )}
    }`;
  });

/** A row's gain, and the component of hasGrown that asks for another. */
export interface Gain {
  readonly name: string;
  readonly flag: 'x' | 'y';
}

export const declareGain = (form: MixedForm, { name }: Gain): string =>
  rows(form, (_, i) => `var ${name}${i} = 1f;`);

/** Finds the gain of the invocation's i-th row in the first tile of a run; later ones say when they need another. */
export const fitGain = ({ name, flag }: Gain, i: number, factors: string): string => `
        if (tiles == 0) {
          ${name}${i} = gainOf(highestOfRow(abs(${factors})));
        }
        if (isTooLarge(abs(${name}${i} * ${factors}))) {
          hasGrown.${flag} = 1;
        }`;

/** A barrier, and the end of the run if a gain does not fit. */
export const endIfGrown = ({ flag }: Pick<Gain, 'flag'>, before = ''): string => `
      if (workgroupUniformLoad(&hasGrown).${flag} != 0) {
        ${before}
        break;
      }`;

/** Four numbers of a row, which stay while its sums go to memory. */
export const besideSums = (row: string): string => `scores[(${row}) * ${sumStride} + ${sumStride - 1}]`;

/** Leaves them there: of the invocation's rows, `value` of the i-th. Scores have been read. */
export const putBesideSums = (form: MixedForm, value: (i: number, row: number) => string): string => `
    if (lane == 0) {
      ${rows(form, (row, i) => `${besideSums(`row0 + ${row}`)} = ${value(i, row)};`)}
    }`;

/**
 * Takes sums to memory, a column of fragments of both groups at a time; `write` is told `row`, `column` and `value`. What lies beside
 * sums must be there behind the first barrier.
 */
export const deliver = (form: MixedForm, name: string, write: string): string =>
  times(
    sumsOf(form),
    (j) => `
    subgroupMatrixStore<row_major>(&scores, ownRow * ${sumStride} + ownGroup * ${FRAGMENT / FLOATS}, ${name}${j}, ${sumStride});
    workgroupBarrier();
    for (var vector = local; vector < ${form.own * 4 * COLUMN_GROUPS}; vector += ${invocationsOf(form)}) {
      let row = vector / ${4 * COLUMN_GROUPS};
      let quad = vector % ${4 * COLUMN_GROUPS};
      let column = quad / 4 * ${widthOf(form) / COLUMN_GROUPS} + ${FRAGMENT * j} + 4 * (quad % 4);
      let value = scores[row * ${sumStride} + quad];
      ${write}
    }
    workgroupBarrier();`,
  );

/** Of a workgroup of queries: what it has, and the keys that it meets. */
export const queries = (form: MixedForm): string => `${queryRange}
  let firstRow = u32(sequence.start + query);
  let scale = sizes.scale * log2e;
  ${places(form)}
  ${declareNext(form, 'sliceK')}
  ${declareNext(form, 'sliceV')}`;

export const ownQ: Own = { operand: 'packedQ', token: 'query', head: 'head', heads: 'sizes.heads' };
export const ownDO: Own = { ...ownQ, operand: 'packedDO' };
export const metK: Rows = { operand: 'packedK', head: 'keyHead', heads: 'sizes.keyHeads' };
export const metV: Rows = { ...metK, operand: 'packedV' };
