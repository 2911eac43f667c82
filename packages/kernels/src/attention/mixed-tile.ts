// What the texts of attention on matrix units are made of (gpu/matrix-units.ts says how such texts are written).
//
// A workgroup has some rows (queries, or keys) and meets a tile of others (keys, or queries) at a time. Its own rows stay in
// fragments to the end; those that it meets go through workgroup memory, where a tile is put while the next is on its way to
// registers. Fragments cannot be looked into, so scores go through workgroup memory as f32, and what is made of them goes back as
// f16.
import { FRAGMENT, fragmentTypes, PADDING, putHalves, SUBGROUP, times } from '../gpu/matrix-units.ts';

/** Columns of subgroups. */
const COLUMN_GROUPS = 2;
/** Values of f16 that are moved at once. */
const CHUNK = 8;

export interface MixedForm {
  /** Columns of fragments of a head: a multiple of COLUMN_GROUPS. */
  readonly fragments: number;
  /** Rows of a workgroup: a multiple of 16. */
  readonly own: number;
  /** Of the tile that it meets: 32 or 64. */
  readonly met: number;
  /** Names of the tiles that lie in workgroup memory at once. */
  readonly slices: readonly string[];
}

export const invocationsOf = ({ own }: MixedForm): number => (own / FRAGMENT) * COLUMN_GROUPS * SUBGROUP;
/** Of a head. */
const widthOf = ({ fragments }: MixedForm): number => FRAGMENT * fragments;
const metStride = (form: MixedForm): number => widthOf(form) + PADDING;
export const scoreStride = ({ met }: MixedForm): number => met + PADDING;
/** Fragments of columns of a head, and of scores, that a subgroup has. */
export const sumsOf = ({ fragments }: MixedForm): number => fragments / COLUMN_GROUPS;
const scoresOf = ({ met }: MixedForm): number => met / FRAGMENT / COLUMN_GROUPS;

/** Of workgroup memory: slices, scores and factors, and two numbers for each row or column. */
export const bytesOf = (form: MixedForm): number =>
  2 * form.slices.length * form.met * metStride(form) +
  (4 + 2) * form.own * scoreStride(form) +
  8 * Math.max(form.own, form.met);

/** A subgroup has some rows of scores, some of them at once, four columns of each in an invocation. */
const rowLanes = ({ met }: MixedForm): number => met / 4;
const ROWS = FRAGMENT / COLUMN_GROUPS;
const rowsAtOnce = (form: MixedForm): number => SUBGROUP / rowLanes(form);

export const rows = (form: MixedForm, line: (row: number, i: number) => string): string =>
  times(ROWS / rowsAtOnce(form), (i) => line(i * rowsAtOnce(form), i));

/** What all texts begin with, those of split-tile.ts too. */
export const constants = ({ own, met }: Pick<MixedForm, 'own' | 'met'>): string => `
/** A score that is not there. */
const hidden = -1e30;
const log2e = 1.4426950408889634;
const tile = 64u;
const own = ${own}u;
const met = ${met}u;

struct Uniforms {
  heads: u32,
  keyHeads: u32,
  headWidth: u32,
  nearest: i32,
  farthest: i32,
  /** Adds to what an earlier pass has left. */
  continues: u32,
  scale: f32,
}

struct Sequence {
  start: i32,
  length: i32,
  position: i32,
  packed: i32,
}
`;

/** Which queries see which keys. */
export const sight = `
/** All pairs of a tile of queries and one of keys, their first ones given, see one another. */
fn isWhole(query: i32, queries: i32, key: i32, keys: i32, length: i32) -> bool {
  return query - key - keys + 1 >= sizes.nearest && query - key + queries - 1 < sizes.farthest
    && max(query + queries, key + keys) <= length;
}

/** Queries and keys of one sequence; the later of the two must be there. */
fn sees(query: vec4i, key: vec4i, length: i32) -> vec4<bool> {
  let distance = query - key;
  return (distance >= vec4i(sizes.nearest)) & (distance < vec4i(sizes.farthest))
    & (max(query, key) < vec4i(length));
}
`;

/** Declarations that all modules share; what stands before them: the bindings. */
export const preamble = (form: MixedForm): string => `${fragmentTypes}
${constants(form)}
/** The tile that is met. */
${form.slices.map((name) => `var<workgroup> ${name}: array<f16, ${form.met * metStride(form)}>;`).join('\n')}
/** Scores of the workgroup's rows with it. */
var<workgroup> scores: array<f32, ${form.own * scoreStride(form)}>;
/** What is made of scores. */
var<workgroup> factors: array<f16, ${form.own * scoreStride(form)}>;

/** Where packed rows begin: that of a tile's first token. */
fn packedAt(sequence: Sequence, token: i32, head: u32, heads: u32) -> u32 {
  return ((u32(sequence.packed) * tile + u32(token)) * heads + head) * ${widthOf(form)};
}
${sight}`;

/** The invocation's place: the row of its fragments, and what it has of scores. */
export const places = (form: MixedForm): string => `
  let subgroup = local / ${SUBGROUP};
  let ownRow = subgroup / ${COLUMN_GROUPS} * ${FRAGMENT};
  let ownGroup = subgroup % ${COLUMN_GROUPS};
  let row0 = subgroup * ${ROWS} + local % ${SUBGROUP} / ${rowLanes(form)};
  let column0 = 4 * (local % ${rowLanes(form)});
  let at0 = row0 * ${scoreStride(form)} + column0;`;

export const fourAt = (array: string, at: string): string =>
  `vec4f(${[0, 1, 2, 3].map((c) => `${array}[${at} + ${c}]`).join(', ')})`;

/** The invocation's four scores of a row. */
export const fourScores = (form: MixedForm, row: number): string =>
  fourAt('scores', `at0 + ${row * scoreStride(form)}`);

/** The invocation's four factors of a row. */
export const putFactors = (form: MixedForm, row: number, value: string): string =>
  putHalves('factors', `at0 + ${row * scoreStride(form)}`, value);

const chunksOf = (form: MixedForm): number => (form.met * widthOf(form)) / CHUNK;
const heldChunks = (form: MixedForm): number => Math.ceil(chunksOf(form) / invocationsOf(form));
const chunkAt = (form: MixedForm, h: number): string => {
  const chunk = `(local + ${h * invocationsOf(form)})`;
  return chunksOf(form) % invocationsOf(form) === 0 ? chunk : `min(${chunk}, ${chunksOf(form) - 1})`;
};

export const declareNext = (form: MixedForm, name: string): string =>
  times(heldChunks(form), (h) => `var ${name}Next${h} = vec4u();`);

/** A packed tile begins its way to registers. @param heads of the operand */
export const fetch = (form: MixedForm, name: string, operand: string, at: string, heads: string): string => {
  const rowChunks = widthOf(form) / CHUNK;
  return times(
    heldChunks(form),
    (h) =>
      `${name}Next${h} = ${operand}[${at} / ${CHUNK} + ${chunkAt(form, h)} / ${rowChunks} * ${heads} * ${rowChunks} + ${chunkAt(form, h)} % ${rowChunks}];`,
  );
};

/** It arrives in workgroup memory, as late as it can: what was fetched is waited for here. */
export const put = (form: MixedForm, slice: string, name = slice): string => {
  const rowChunks = widthOf(form) / CHUNK;
  return times(
    heldChunks(form),
    (h) => `{
      let at = ${chunkAt(form, h)} / ${rowChunks} * ${metStride(form)} + ${chunkAt(form, h)} % ${rowChunks} * ${CHUNK};
      let low = bitcast<vec4<f16>>(${name}Next${h}.xy);
      let high = bitcast<vec4<f16>>(${name}Next${h}.zw);
      ${times(CHUNK, (i) => `${slice}[at + ${i}] = ${i < 4 ? 'low' : 'high'}.${'xyzw'[i % 4]};`)}
    }`,
  );
};

/** The workgroup's own rows of an operand. */
export interface Own {
  /** The packed tensor. */
  readonly operand: string;
  readonly at: string;
  readonly heads: string;
}

const ownFragment = (form: MixedForm, { operand, at, heads }: Own, k: number): string =>
  `subgroupMatrixLoad<Left, row_major>(&${operand}, ${at} + ownRow * ${heads} * ${widthOf(form)} + ${FRAGMENT * k}, ${heads} * ${widthOf(form)})`;

/** Its rows, as fragments: `packedQ0` and so on. */
export const hold = (form: MixedForm, own: Own): string =>
  times(form.fragments, (k) => `let ${own.operand}${k} = ${ownFragment(form, own, k)};`);

/** own · metᵀ over the head's width. */
export const products = (form: MixedForm, name: string, { operand }: Own, slice: string): string => `
    ${times(scoresOf(form), (j) => `var ${name}${j} = Sums();`)}
    ${times(form.fragments, (k) =>
      times(
        scoresOf(form),
        (j) =>
          `${name}${j} = subgroupMatrixMultiplyAccumulate(${operand}${k}, subgroupMatrixLoad<Right, col_major>(&${slice}, (ownGroup * ${scoresOf(form)} + ${j}) * ${FRAGMENT * metStride(form)} + ${FRAGMENT * k}, ${metStride(form)}), ${name}${j});`,
      ),
    )}`;

/** Leaves products in `scores`. */
export const store = (form: MixedForm, name: string): string =>
  times(
    scoresOf(form),
    (j) =>
      `subgroupMatrixStore<row_major>(&scores, ownRow * ${scoreStride(form)} + (ownGroup * ${scoresOf(form)} + ${j}) * ${FRAGMENT}, ${name}${j}, ${scoreStride(form)});`,
  );

export const declareSums = (form: MixedForm, name: string): string =>
  times(sumsOf(form), (j) => `var ${name}${j} = Sums();`);

/** sums += factors · met */
export const accumulate = (form: MixedForm, name: string, slice: string): string =>
  times(
    form.met / FRAGMENT,
    (k) => `{
      let a = subgroupMatrixLoad<Left, row_major>(&factors, ownRow * ${scoreStride(form)} + ${FRAGMENT * k}, ${scoreStride(form)});
      ${times(sumsOf(form), (j) => `${name}${j} = subgroupMatrixMultiplyAccumulate(a, subgroupMatrixLoad<Right, row_major>(&${slice}, ${FRAGMENT * k * metStride(form)} + (ownGroup * ${sumsOf(form)} + ${j}) * ${FRAGMENT}, ${metStride(form)}), ${name}${j});`)}
    }`,
  );

/** Column j of a subgroup's sums to `scores`, or back: those of all subgroups are 16 · COLUMN_GROUPS wide. */
export const storeColumn = (form: MixedForm, name: string, j: number): string =>
  `subgroupMatrixStore<row_major>(&scores, ownRow * ${scoreStride(form)} + ownGroup * ${FRAGMENT}, ${name}${j}, ${scoreStride(form)});`;
export const loadColumn = (form: MixedForm, name: string, j: number): string =>
  `${name}${j} = subgroupMatrixLoad<Sums, row_major>(&scores, ownRow * ${scoreStride(form)} + ownGroup * ${FRAGMENT}, ${scoreStride(form)});`;

/** For each vector of four of column j: its `row`, its `column` of the head, and `at`, where it lies in `scores`. */
export const overColumn = (form: MixedForm, j: number, body: string): string => `
  for (var vector = local; vector < ${form.own * 4 * COLUMN_GROUPS}; vector += ${invocationsOf(form)}) {
    let row = vector / ${4 * COLUMN_GROUPS};
    let quad = vector % ${4 * COLUMN_GROUPS};
    let at = row * ${scoreStride(form)} + 4 * quad;
    let column = quad / 4 * ${widthOf(form) / COLUMN_GROUPS} + ${FRAGMENT * j} + 4 * (quad % 4);
    ${body}
  }`;

/** Takes sums to memory, a column of fragments at a time; `write` is told `row`, `column` and `value`. */
export const deliver = (form: MixedForm, name: string, write: string): string =>
  times(
    sumsOf(form),
    (j) => `
  ${storeColumn(form, name, j)}
  workgroupBarrier();
  ${overColumn(
    form,
    j,
    `let value = ${fourAt('scores', 'at')};
    ${write}`,
  )}
  workgroupBarrier();`,
  );

export const entry = (form: MixedForm): string => `
@compute @workgroup_size(${invocationsOf(form)})
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let sequence = sequences[group.y];`;

/** Of a workgroup of queries: what it has, and the keys that it meets. */
export const queryRange = `
  let head = group.x;
  // The last queries of all heads see the most keys, so they come first.
  let query = i32((groups.z - 1 - group.z) * own);
  if (query >= sequence.length) {
    return;
  }
  let keyHead = head / (sizes.heads / sizes.keyHeads);
  let tokens = min(i32(own), sequence.length - query);
  let end = query + tokens - sizes.nearest;
  let firstKey = max(0, query - sizes.farthest + 1) / i32(met) * i32(met);`;

export const queries = (form: MixedForm): string => `${queryRange}
  let queryAt = packedAt(sequence, query, head, sizes.heads);
  let firstRow = u32(sequence.start + query);
  let scale = sizes.scale * log2e;
  ${places(form)}
  ${declareNext(form, 'sliceK')}
  ${declareNext(form, 'sliceV')}`;

export const ownQ: Own = { operand: 'packedQ', at: 'queryAt', heads: 'sizes.heads' };
export const keyOf = (token: string): string => `packedAt(sequence, ${token}, keyHead, sizes.keyHeads)`;
