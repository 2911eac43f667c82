// The text of forward.wgsl on matrix units.
import { times } from '../gpu/matrix-units.ts';
import {
  accumulate,
  declareSums,
  deliver,
  entry,
  fetch,
  fourAt,
  fourScores,
  hold,
  keyOf,
  loadColumn,
  type MixedForm,
  overColumn,
  ownQ,
  preamble,
  products,
  put,
  putFactors,
  queries,
  rows,
  scoreStride,
  store,
  storeColumn,
  sumsOf,
} from './mixed-tile.ts';

/**
 * What queries read of the keys of a pass, as forward.wgsl. Scores are compared with a reference of their row that is not always the
 * highest so far: what was read is scaled down only when one comes that is 2^8 times as large, which random data do in the first
 * tile alone. Shares up to that are as exact in f16 as those below 1.
 */
export const forwardText = (form: MixedForm): string => `
${preamble(form)}
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
    ${putFactors(form, row, `share${i}`)}`,
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
      ${putFactors(form, row, `share${i}`)}`,
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
