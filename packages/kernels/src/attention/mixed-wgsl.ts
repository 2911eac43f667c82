// The modules of attention on matrix units. They are written by code, as that of mat-mul/mixed-wgsl.ts is: what lies in fragments has
// no index, and other arrays than by constants are not to be indexed.
//
// A workgroup has some rows (queries, or keys) and meets a tile of others (keys, or queries) at a time. Its own rows stay in
// fragments to the end; those that it meets go through workgroup memory, where a tile is put while the next is on its way to
// registers. Fragments cannot be looked into, so scores go through workgroup memory as f32, and what is made of them goes back as
// f16. All loops over fragments are written out.
//
// Fragments are loaded from multiples of 16 bytes, whatever address is told: so all that lies in workgroup memory is a multiple of
// 16 bytes long.

/** Rows and columns of a fragment. */
const FRAGMENT = 16;
const SUBGROUP = 32;
/** Of what lies in workgroup memory: neighbouring rows begin in different banks. */
const PADDING = 8;
/** Values of f16 that are moved at once. */
const CHUNK = 8;

export interface MixedForm {
  /** Columns of fragments of a head: a multiple of `columnGroups`. */
  readonly fragments: number;
  /** Columns of subgroups. */
  readonly columnGroups: number;
  /** Rows of a workgroup: a multiple of 16. */
  readonly own: number;
  /** Of the tile that it meets: 32 or 64. */
  readonly met: number;
  /** Tiles that are met at once: keys and values, or queries and dO after one another. */
  readonly slices: number;
}

const times = (count: number, line: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => line(i)).join('\n');

export const invocationsOf = ({ own, columnGroups }: MixedForm): number =>
  (own / FRAGMENT) * columnGroups * SUBGROUP;
/** Of a head. */
const widthOf = ({ fragments }: MixedForm): number => FRAGMENT * fragments;
const metStride = (form: MixedForm): number => widthOf(form) + PADDING;
const scoreStride = ({ met }: MixedForm): number => met + PADDING;
/** Fragments of columns of a head, and of scores, that a subgroup has. */
const sumsOf = ({ fragments, columnGroups }: MixedForm): number => fragments / columnGroups;
const scoresOf = ({ met, columnGroups }: MixedForm): number => met / FRAGMENT / columnGroups;

/** Of workgroup memory: slices, scores and factors, and two numbers for each row or column. */
export const bytesOf = (form: MixedForm): number =>
  2 * form.slices * form.met * metStride(form) +
  (4 + 2) * form.own * scoreStride(form) +
  8 * Math.max(form.own, form.met);

/** A subgroup has some rows of scores, some of them at once, four columns of each in an invocation. */
const rowLanes = ({ met }: MixedForm): number => met / 4;
const rowsOf = ({ columnGroups }: MixedForm): number => FRAGMENT / columnGroups;
const rowsAtOnce = (form: MixedForm): number => SUBGROUP / rowLanes(form);

const rows = (form: MixedForm, line: (row: number, i: number) => string): string =>
  times(rowsOf(form) / rowsAtOnce(form), (i) => line(i * rowsAtOnce(form), i));

/** Declarations that all modules share; what stands before them: the bindings. */
const preamble = (form: MixedForm, slices: readonly string[]): string => `
alias Left = subgroup_matrix_left<f16, 16, 16>;
alias Right = subgroup_matrix_right<f16, 16, 16>;
alias Sums = subgroup_matrix_result<f32, 16, 16>;

/** A score that is not there. */
const hidden = -1e30;
const log2e = 1.4426950408889634;
const tile = 64u;
const own = ${form.own}u;
const met = ${form.met}u;

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

/** The tile that is met. */
${slices.map((name) => `var<workgroup> ${name}: array<f16, ${form.met * metStride(form)}>;`).join('\n')}
/** Scores of the workgroup's rows with it. */
var<workgroup> scores: array<f32, ${form.own * scoreStride(form)}>;
/** What is made of scores. */
var<workgroup> factors: array<f16, ${form.own * scoreStride(form)}>;

/** Where packed rows begin: that of a tile's first token. */
fn packedAt(sequence: Sequence, token: i32, head: u32, heads: u32) -> u32 {
  return ((u32(sequence.packed) * tile + u32(token)) * heads + head) * ${widthOf(form)};
}

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

/** The invocation's place: the row of its fragments, and what it has of scores. */
const places = (form: MixedForm): string => `
  let subgroup = local / ${SUBGROUP};
  let ownRow = subgroup / ${form.columnGroups} * ${FRAGMENT};
  let ownGroup = subgroup % ${form.columnGroups};
  let row0 = subgroup * ${rowsOf(form)} + local % ${SUBGROUP} / ${rowLanes(form)};
  let column0 = 4 * (local % ${rowLanes(form)});
  let at0 = row0 * ${scoreStride(form)} + column0;`;

const fourAt = (array: string, at: string): string =>
  `vec4f(${[0, 1, 2, 3].map((c) => `${array}[${at} + ${c}]`).join(', ')})`;

/** The invocation's four scores of a row. */
const fourScores = (form: MixedForm, row: number): string =>
  fourAt('scores', `at0 + ${row * scoreStride(form)}`);

const putFour = (form: MixedForm, array: string, row: number, value: string): string => `{
      let halves = vec4<f16>(${value});
      ${times(4, (c) => `${array}[at0 + ${row * scoreStride(form) + c}] = halves.${'xyzw'[c]};`)}
    }`;

const chunksOf = (form: MixedForm): number => (form.met * widthOf(form)) / CHUNK;
const heldChunks = (form: MixedForm): number => Math.ceil(chunksOf(form) / invocationsOf(form));
const chunkAt = (form: MixedForm, h: number): string => {
  const chunk = `(local + ${h * invocationsOf(form)})`;
  return chunksOf(form) % invocationsOf(form) === 0 ? chunk : `min(${chunk}, ${chunksOf(form) - 1})`;
};

const declareNext = (form: MixedForm, name: string): string =>
  times(heldChunks(form), (h) => `var ${name}Next${h} = vec4u();`);

/** A packed tile begins its way to registers. @param heads of the operand */
const fetch = (form: MixedForm, name: string, operand: string, at: string, heads: string): string => {
  const rowChunks = widthOf(form) / CHUNK;
  return times(
    heldChunks(form),
    (h) =>
      `${name}Next${h} = ${operand}[${at} / ${CHUNK} + ${chunkAt(form, h)} / ${rowChunks} * ${heads} * ${rowChunks} + ${chunkAt(form, h)} % ${rowChunks}];`,
  );
};

/** It arrives in workgroup memory, as late as it can: what was fetched is waited for here. */
const put = (form: MixedForm, slice: string, name = slice): string => {
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
interface Own {
  /** The packed tensor. */
  readonly operand: string;
  readonly at: string;
  readonly heads: string;
}

const ownFragment = (form: MixedForm, { operand, at, heads }: Own, k: number): string =>
  `subgroupMatrixLoad<Left, row_major>(&${operand}, ${at} + ownRow * ${heads} * ${widthOf(form)} + ${FRAGMENT * k}, ${heads} * ${widthOf(form)})`;

/** Its rows, as fragments: `packedQ0` and so on. */
const hold = (form: MixedForm, own: Own): string =>
  times(form.fragments, (k) => `let ${own.operand}${k} = ${ownFragment(form, own, k)};`);

/** own · metᵀ over the head's width. */
const products = (form: MixedForm, name: string, { operand }: Own, slice: string): string => `
    ${times(scoresOf(form), (j) => `var ${name}${j} = Sums();`)}
    ${times(form.fragments, (k) =>
      times(
        scoresOf(form),
        (j) =>
          `${name}${j} = subgroupMatrixMultiplyAccumulate(${operand}${k}, subgroupMatrixLoad<Right, col_major>(&${slice}, (ownGroup * ${scoresOf(form)} + ${j}) * ${FRAGMENT * metStride(form)} + ${FRAGMENT * k}, ${metStride(form)}), ${name}${j});`,
      ),
    )}`;

/** Leaves products in `scores`. */
const store = (form: MixedForm, name: string): string =>
  times(
    scoresOf(form),
    (j) =>
      `subgroupMatrixStore<row_major>(&scores, ownRow * ${scoreStride(form)} + (ownGroup * ${scoresOf(form)} + ${j}) * ${FRAGMENT}, ${name}${j}, ${scoreStride(form)});`,
  );

const declareSums = (form: MixedForm, name: string): string =>
  times(sumsOf(form), (j) => `var ${name}${j} = Sums();`);

/** sums += factors · met */
const accumulate = (form: MixedForm, name: string, slice: string): string =>
  times(
    form.met / FRAGMENT,
    (k) => `{
      let a = subgroupMatrixLoad<Left, row_major>(&factors, ownRow * ${scoreStride(form)} + ${FRAGMENT * k}, ${scoreStride(form)});
      ${times(sumsOf(form), (j) => `${name}${j} = subgroupMatrixMultiplyAccumulate(a, subgroupMatrixLoad<Right, row_major>(&${slice}, ${FRAGMENT * k * metStride(form)} + (ownGroup * ${sumsOf(form)} + ${j}) * ${FRAGMENT}, ${metStride(form)}), ${name}${j});`)}
    }`,
  );

/** Column j of a subgroup's sums to `scores`, or back: those of all subgroups are 16 · columnGroups wide. */
const storeColumn = (form: MixedForm, name: string, j: number): string =>
  `subgroupMatrixStore<row_major>(&scores, ownRow * ${scoreStride(form)} + ownGroup * ${FRAGMENT}, ${name}${j}, ${scoreStride(form)});`;
const loadColumn = (form: MixedForm, name: string, j: number): string =>
  `${name}${j} = subgroupMatrixLoad<Sums, row_major>(&scores, ownRow * ${scoreStride(form)} + ownGroup * ${FRAGMENT}, ${scoreStride(form)});`;

/** For each vector of four of column j: its `row`, its `column` of the head, and `at`, where it lies in `scores`. */
const overColumn = (form: MixedForm, j: number, body: string): string => `
  for (var vector = local; vector < ${form.own * 4 * form.columnGroups}; vector += ${invocationsOf(form)}) {
    let row = vector / ${4 * form.columnGroups};
    let quad = vector % ${4 * form.columnGroups};
    let at = row * ${scoreStride(form)} + 4 * quad;
    let column = quad / 4 * ${widthOf(form) / form.columnGroups} + ${FRAGMENT * j} + 4 * (quad % 4);
    ${body}
  }`;

/** Takes sums to memory, a column of fragments at a time; `write` is told `row`, `column` and `value`. */
const deliver = (form: MixedForm, name: string, write: string): string =>
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

const entry = (form: MixedForm): string => `
@compute @workgroup_size(${invocationsOf(form)})
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let sequence = sequences[group.y];`;

/** Of a workgroup of queries: what it has, and the keys that it meets. */
const queries = (form: MixedForm): string => `
  let head = group.x;
  // The last queries of all heads see the most keys, so they come first.
  let query = i32((groups.z - 1 - group.z) * own);
  if (query >= sequence.length) {
    return;
  }
  let keyHead = head / (sizes.heads / sizes.keyHeads);
  let tokens = min(i32(own), sequence.length - query);
  let end = query + tokens - sizes.nearest;
  let firstKey = max(0, query - sizes.farthest + 1) / i32(met) * i32(met);
  let queryAt = packedAt(sequence, query, head, sizes.heads);
  let firstRow = u32(sequence.start + query);
  let scale = sizes.scale * log2e;
  ${places(form)}
  ${declareNext(form, 'sliceK')}
  ${declareNext(form, 'sliceV')}`;

const ownQ: Own = { operand: 'packedQ', at: 'queryAt', heads: 'sizes.heads' };
const keyOf = (token: string): string => `packedAt(sequence, ${token}, keyHead, sizes.keyHeads)`;

/**
 * What queries read of the keys of a pass, as forward.wgsl. Scores are compared with a reference of their row that is not always the
 * highest so far: what was read is scaled down only when one comes that is 2^8 times as large, which random data do in the first
 * tile alone. Shares up to that are as exact in f16 as those below 1.
 */
export const forwardText = (form: MixedForm): string => `
${preamble(form, ['sliceK', 'sliceV'])}
/** Of each row, in units of log2. */
var<workgroup> references: array<f32, own>;
var<workgroup> hasGrown: vec4u;

const unset = -1e30;
const masked = -1e32;
const most = 256f;

/** The highest of what a tile adds to a row, of a quarter of its columns. */
fn highestOf(row: u32, column0: u32, query: i32, key: i32, length: i32) -> f32 {
  var found = masked;
  for (var column = column0; column < column0 + met / 4; column += 4) {
    let at = row * ${scoreStride(form)} + column;
    let four = sizes.scale * log2e * ${fourAt('scores', 'at')};
    let seen = sees(vec4i(query + i32(row)), vec4i(key + i32(column)) + vec4i(0, 1, 2, 3), length);
    let visible = select(vec4f(masked), four, seen);
    found = max(found, max(max(visible.x, visible.y), max(visible.z, visible.w)));
  }
  return found;
}
${entry(form)}
  ${queries(form)}

  ${declareSums(form, 'sum')}
  ${rows(form, (_, i) => `var total${i} = 0f;`)}
  if (local < own) {
    references[local] = unset;
  }
  if (sizes.continues != 0) {
    if (local < own) {
      let before = logSumExp[(firstRow + min(local, u32(tokens) - 1)) * sizes.heads + head];
      references[local] = select(unset, before * log2e, before > hidden);
    }
    workgroupBarrier();
    if (column0 == 0) {
      ${rows(form, (row, i) => `total${i} = select(0f, 1f, references[row0 + ${row}] > unset);`)}
    }
    ${times(
      sumsOf(form),
      (j) => `
    ${overColumn(
      form,
      j,
      `let before = oAt((firstRow + min(row, u32(tokens) - 1)) * sizes.heads + head, column);
      scores[at] = before.x; scores[at + 1] = before.y; scores[at + 2] = before.z; scores[at + 3] = before.w;`,
    )}
    workgroupBarrier();
    ${loadColumn(form, 'sum', j)}
    workgroupBarrier();`,
    )}
  }

  // A tile that all rows see comes first, so that all find their reference there; then those behind it, then those before it.
  let isSeenByAll = query + i32(own) - firstKey <= sizes.farthest;
  var key = select(max(firstKey, (query - sizes.nearest) / i32(met) * i32(met)), firstKey, isSeenByAll);
  ${fetch(form, 'sliceK', 'packedK', keyOf('key'), 'sizes.keyHeads')}
  ${hold(form, ownQ)}
  ${put(form, 'sliceK')}
  workgroupBarrier();
  for (var left = (end - firstKey + i32(met) - 1) / i32(met); left > 0; left--) {
    let following = select(firstKey, key + i32(met), key + i32(met) < end);
    if (local == 0) {
      hasGrown = vec4u();
    }
    ${fetch(form, 'sliceK', 'packedK', keyOf('following'), 'sizes.keyHeads')}
    ${fetch(form, 'sliceV', 'packedV', keyOf('key'), 'sizes.keyHeads')}
    ${products(form, 'score', ownQ, 'sliceK')}
    ${store(form, 'score')}
    // All keys have been multiplied, and the values before these.
    workgroupBarrier();
    let whole = isWhole(query, i32(own), key, i32(met), sequence.length);
    let keys = vec4i(key + i32(column0)) + vec4i(0, 1, 2, 3);
    let asking = query + i32(row0);
    var largest = vec4f();
    ${rows(
      form,
      (row, i) => `
    var share${i} = scale * ${fourScores(form, row)};
    if (!whole) {
      share${i} = select(vec4f(masked), share${i}, sees(vec4i(asking + ${row}), keys, sequence.length));
    }
    share${i} = exp2(share${i} - references[row0 + ${row}]);
    largest = max(largest, share${i});
    ${putFour(form, 'factors', row, `share${i}`)}`,
    )}
    ${put(form, 'sliceK')}
    ${put(form, 'sliceV')}
    if (any(largest > vec4f(most))) {
      hasGrown.x = 1;
    }
    if (workgroupUniformLoad(&hasGrown).x != 0) {
      // What is found goes behind the row's scores.
      let behind = local / 4 * ${scoreStride(form)} + met + local % 4;
      scores[behind] = highestOf(local / 4, local % 4 * (met / 4), query, key, sequence.length);
      workgroupBarrier();
      if (local < own) {
        let at = local * ${scoreStride(form)} + met;
        let found = ${fourAt('scores', 'at')};
        let before = references[local];
        let next = max(before, max(max(found.x, found.y), max(found.z, found.w)));
        references[local] = next;
        // Rows that have seen nothing have nothing to be scaled.
        scores[at + 4] = select(1, exp2(before - next), before > unset);
        if (before > unset && next > before) {
          hasGrown.y = 1;
        }
      }
      let hasSums = workgroupUniformLoad(&hasGrown).y != 0;
      ${rows(
        form,
        (row, i) => `
      total${i} *= scores[(row0 + ${row}) * ${scoreStride(form)} + met + 4];
      share${i} = select(
        vec4f(),
        exp2(scale * ${fourScores(form, row)} - references[row0 + ${row}]),
        sees(vec4i(asking + ${row}), keys, sequence.length),
      );
      ${putFour(form, 'factors', row, `share${i}`)}`,
      )}
      workgroupBarrier();
      if (hasSums) {
        ${times(
          sumsOf(form),
          (j) => `
        ${storeColumn(form, 'sum', j)}
        workgroupBarrier();
        ${overColumn(
          form,
          j,
          `let factor = scores[row * ${scoreStride(form)} + met + 4];
          scores[at] *= factor; scores[at + 1] *= factor; scores[at + 2] *= factor; scores[at + 3] *= factor;`,
        )}
        workgroupBarrier();
        ${loadColumn(form, 'sum', j)}
        workgroupBarrier();`,
        )}
      }
    }
    ${rows(form, (_, i) => `total${i} += dot(share${i}, vec4f(1));`)}
    ${accumulate(form, 'sum', 'sliceV')}
    key = following;
  }

  workgroupBarrier();
  ${rows(form, (row, i) => `scores[at0 + ${row * scoreStride(form)}] = total${i};`)}
  workgroupBarrier();
  if (local < own) {
    var total = 0f;
    for (var column = 0u; column < met; column += 4) {
      total += scores[local * ${scoreStride(form)} + column];
    }
    if (i32(local) < tokens) {
      logSumExp[(firstRow + local) * sizes.heads + head] =
        select(hidden, references[local] / log2e + log(total), total > 0);
    }
    // What sums are divided by takes the references' place.
    references[local] = select(0f, 1 / total, total > 0);
  }
  workgroupBarrier();
  ${deliver(
    form,
    'sum',
    `if (i32(row) < tokens) {
      putO((firstRow + row) * sizes.heads + head, column, value * references[row]);
    }`,
  )}
}`;

const ownDO: Own = { ...ownQ, operand: 'packedDO' };

/** Gradient of the queries of a pass, as query-gradient.wgsl. dO, and all that is linear in it, is packed times gradientScale[0]. */
export const queryGradientText = (form: MixedForm): string => `
${preamble(form, ['sliceK', 'sliceV'])}
/** log2 Σ e^score, and dO · o, of each row. */
var<workgroup> normalisers: array<f32, own>;
var<workgroup> pulls: array<f32, own>;
${entry(form)}
  ${queries(form)}

  ${declareSums(form, 'sum')}
  if (local < own) {
    let known = stats[(firstRow + min(local, u32(tokens) - 1)) * sizes.heads + head];
    normalisers[local] = known.x * log2e;
    pulls[local] = known.y * gradientScale[0];
  }

  ${fetch(form, 'sliceV', 'packedV', keyOf('firstKey'), 'sizes.keyHeads')}
  ${hold(form, ownQ)}
  ${hold(form, ownDO)}
  ${put(form, 'sliceV')}
  workgroupBarrier();
  for (var key = firstKey; key < end; key += i32(met)) {
    ${fetch(form, 'sliceK', 'packedK', keyOf('key'), 'sizes.keyHeads')}
    ${products(form, 'dShare', ownDO, 'sliceV')}
    ${store(form, 'dShare')}
    // The keys before these have been multiplied.
    workgroupBarrier();
    ${rows(form, (row, i) => `let slope${i} = ${fourScores(form, row)} - pulls[row0 + ${row}];`)}
    ${put(form, 'sliceK')}
    workgroupBarrier();
    ${fetch(form, 'sliceV', 'packedV', keyOf('min(key + i32(met), (end - 1) / i32(met) * i32(met))'), 'sizes.keyHeads')}
    ${products(form, 'score', ownQ, 'sliceK')}
    ${store(form, 'score')}
    workgroupBarrier();
    let whole = isWhole(query, i32(own), key, i32(met), sequence.length);
    let keys = vec4i(key + i32(column0)) + vec4i(0, 1, 2, 3);
    let asking = query + i32(row0);
    ${rows(
      form,
      (row, i) => `{
      var share = exp2(scale * ${fourScores(form, row)} - normalisers[row0 + ${row}]);
      if (!whole) {
        share = select(vec4f(), share, sees(vec4i(asking + ${row}), keys, sequence.length));
      }
      ${putFour(form, 'factors', row, `share * slope${i}`)}
    }`,
    )}
    ${put(form, 'sliceV')}
    workgroupBarrier();
    ${accumulate(form, 'sum', 'sliceK')}
  }
  workgroupBarrier();

  let factor = sizes.scale / gradientScale[0];
  ${deliver(
    form,
    'sum',
    `if (i32(row) < tokens) {
      let to = (firstRow + row) * sizes.heads + head;
      var whole = value * factor;
      if (sizes.continues != 0) {
        whole += dQAt(to, column);
      }
      putDQ(to, column, whole);
    }`,
  )}
}`;

const ownK: Own = { operand: 'packedK', at: 'keyAt', heads: 'sizes.keyHeads' };
const ownV: Own = { ...ownK, operand: 'packedV' };

/** Gradients of the keys and values of a pass, as key-gradient.wgsl: rows are keys, columns are queries. */
export const keyGradientText = (form: MixedForm): string => `
${preamble(form, ['slice'])}
/** log2 Σ e^score, and dO · o, of each column. */
var<workgroup> normalisers: array<f32, met>;
var<workgroup> pulls: array<f32, met>;

/** Shares are at most 1; f16 ends at 2^16, and has few digits below 2^-14. */
const shareScale = 1024f;
${entry(form)}
  let keyHead = group.x;
  // The first keys are seen by the most queries, and come first.
  let key = i32(group.z * own);
  if (key >= sequence.length) {
    return;
  }
  let tokens = min(i32(own), sequence.length - key);
  let firstQuery = (key + sizes.nearest) / i32(met) * i32(met);
  let end = min(sequence.length, key + tokens - 1 + sizes.farthest);
  let perKey = sizes.heads / sizes.keyHeads;
  let keyAt = packedAt(sequence, key, keyHead, sizes.keyHeads);
  let firstRow = u32(sequence.start + key);
  let scale = sizes.scale * log2e;
  ${places(form)}
  ${declareNext(form, 'q')}
  ${declareNext(form, 'dO')}

  ${declareSums(form, 'dKey')}
  ${declareSums(form, 'dValue')}
  ${hold(form, ownK)}
  ${hold(form, ownV)}
  for (var h = 0u; h < perKey; h++) {
    let head = keyHead * perKey + h;
    if (firstQuery < end) {
      ${fetch(form, 'q', 'packedQ', 'packedAt(sequence, firstQuery, head, sizes.heads)', 'sizes.heads')}
    }
    for (var query = firstQuery; query < end; query += i32(met)) {
      let queryAt = packedAt(sequence, query, head, sizes.heads);
      ${put(form, 'slice', 'q')}
      if (local < met) {
        let token = min(query + i32(local), sequence.length - 1);
        let known = stats[u32(sequence.start + token) * sizes.heads + head];
        normalisers[local] = known.x * log2e;
        pulls[local] = known.y * gradientScale[0];
      }
      workgroupBarrier();
      ${fetch(form, 'dO', 'packedDO', 'queryAt', 'sizes.heads')}
      ${products(form, 'score', ownK, 'slice')}
      ${store(form, 'score')}
      workgroupBarrier();
      let whole = isWhole(query, i32(met), key, i32(own), sequence.length);
      let queries = vec4i(query + i32(column0)) + vec4i(0, 1, 2, 3);
      let seen = key + i32(row0);
      let normaliser = ${fourAt('normalisers', 'column0')};
      let pull = ${fourAt('pulls', 'column0')};
      ${rows(
        form,
        (row, i) => `
      var share${i} = exp2(scale * ${fourScores(form, row)} - normaliser);
      if (!whole) {
        share${i} = select(vec4f(), share${i}, sees(queries, vec4i(seen + ${row}), sequence.length));
      }
      ${putFour(form, 'factors', row, `shareScale * share${i}`)}`,
      )}
      ${put(form, 'slice', 'dO')}
      workgroupBarrier();
      ${products(form, 'dShare', ownV, 'slice')}
      ${store(form, 'dShare')}
      ${accumulate(form, 'dValue', 'slice')}
      workgroupBarrier();
      ${put(form, 'slice', 'q')}
      ${rows(
        form,
        (row, i) => `${putFour(form, 'factors', row, `share${i} * (${fourScores(form, row)} - pull)`)}`,
      )}
      workgroupBarrier();
      ${fetch(form, 'q', 'packedQ', 'packedAt(sequence, min(query + i32(met), (end - 1) / i32(met) * i32(met)), head, sizes.heads)', 'sizes.heads')}
      ${accumulate(form, 'dKey', 'slice')}
      workgroupBarrier();
    }
  }

  let factor = 1 / gradientScale[0];
  ${deliver(
    form,
    'dKey',
    `if (i32(row) < tokens) {
      putDK((firstRow + row) * sizes.keyHeads + keyHead, column, value * sizes.scale * factor);
    }`,
  )}
  ${deliver(
    form,
    'dValue',
    `if (i32(row) < tokens) {
      let to = (firstRow + row) * sizes.keyHeads + keyHead;
      var whole = value * factor / shareScale;
      if (sizes.continues != 0) {
        whole += dVAt(to, column);
      }
      putDV(to, column, whole);
    }`,
  )}
}`;
