// The text of forward.wgsl on matrix units, in float32.
import { declareSums, entry, rows } from './mixed-tile.ts';
import {
  accumulate,
  besideSums,
  deliver,
  endIfGrown,
  fetch,
  fourScores,
  hold,
  metK,
  metV,
  type SplitForm,
  ownQ,
  preamble,
  products,
  put,
  putBesideSums,
  putFactors,
  queries,
  store,
  unitOf,
} from './split-tile.ts';

/**
 * What queries read of the keys of a pass, as forward.wgsl. Shares are compared with a reference of their row, times the units of their
 * values: it is not always the highest so far, but moves only when one comes that f16 has no room for, which random data seldom do.
 */
export const forwardText = (form: SplitForm): string => `
${preamble(form)}
/** In units of log2: the reference of a row that has seen nothing, and a score that is not there. */
const unset = -1e30;
const masked = -1e32;
${entry(form)}
  ${queries(form)}
  ${hold(form, ownQ)}
  ${rows(form, (row, i) => `let unit${i} = scale * ${unitOf(ownQ, `row0 + ${row}`)};`)}

  // Of row \`local\`: what its reference was when sums went to memory, and the total of its shares.
  var known = vec2f(unset, 0);
  if (sizes.continues != 0 && local < own) {
    let before = logSumExp[(firstRow + min(local, u32(tokens) - 1)) * sizes.heads + head];
    if (before > hidden) {
      known = vec2f(before * log2e, 1);
    }
  }

  // A tile that all rows see comes first, so that all find their reference there; then those behind it, then those before it.
  let isSeenByAll = query + i32(own) - firstKey <= sizes.farthest;
  var key = select(max(firstKey, (query - sizes.nearest) / i32(met) * i32(met)), firstKey, isSeenByAll);
  var left = (end - firstKey + i32(met) - 1) / i32(met);
  loop {
    ${declareSums(form, 'sum')}
    ${rows(form, (_, i) => `var reference${i} = unset;\nvar total${i} = 0f;`)}
    ${fetch(form, 'sliceK', metK, 'key')}
    ${put(form, 'sliceK')}
    workgroupBarrier();
    for (var tiles = 0; left > 0 && tiles < ${form.run}; tiles++) {
      let following = select(firstKey, key + i32(met), key + i32(met) < end);
      let keyUnits = sliceKUnits;
      if (local == 0) {
        hasGrown = vec4u();
      }
      ${fetch(form, 'sliceK', metK, 'following')}
      ${fetch(form, 'sliceV', metV, 'key')}
      ${products(form, 'score', ownQ, 'sliceK')}
      ${store(form, 'score')}
      // All keys have been multiplied, and the values before these.
      workgroupBarrier();
      let whole = isWhole(query, i32(own), key, i32(met), sequence.length);
      let keys = vec4i(key + i32(column0)) + vec4i(0, 1, 2, 3);
      let asking = query + i32(row0);
      ${rows(
        form,
        (row, i) => `
      var share${i} = unit${i} * keyUnits * ${fourScores(form, row)};
      if (!whole) {
        share${i} = select(vec4f(masked), share${i}, sees(vec4i(asking + ${row}), keys, sequence.length));
      }
      if (tiles == 0) {
        reference${i} = max(unset, highestOfRow(share${i} + log2(sliceVUnits)) - first);
      }
      share${i} = exp2(share${i} - reference${i});
      ${putFactors(form, row, `share${i} * sliceVUnits`)}
      if (isTooLarge(share${i} * sliceVUnits)) {
        hasGrown.x = 1;
      }`,
      )}
      ${put(form, 'sliceK')}
      ${put(form, 'sliceV')}
      ${endIfGrown({ flag: 'x' })}
      ${rows(form, (_, i) => `total${i} += dot(share${i}, vec4f(1));`)}
      ${accumulate(form, 'sum', 'sliceV')}
      key = following;
      left--;
    }

    ${rows(form, (_, i) => `let all${i} = totalOfRow(total${i});`)}
    ${putBesideSums(form, (i) => `vec4f(reference${i}, all${i}, 0, 0)`)}
    workgroupBarrier();
    if (local < own) {
      let run = ${besideSums('local')}.xy;
      let reference = max(known.x, run.x);
      let carried = known.y * exp2(known.x - reference);
      let added = exp2(run.x - reference);
      let total = carried + run.y * added;
      known = vec2f(reference, total);
      // What is multiplied with the row in memory, and with its sums.
      ${besideSums('local')} = select(vec4f(), vec4f(carried, added, 0, 0) / total, total > 0);
    }
    ${deliver(
      form,
      'sum',
      `if (i32(row) < tokens) {
        let to = (firstRow + row) * sizes.heads + head;
        let weights = ${besideSums('row')};
        var whole = weights.y * value;
        if (weights.x > 0) {
          whole += weights.x * oAt(to, column);
        }
        putO(to, column, whole);
      }`,
    )}
    if (left <= 0) {
      break;
    }
  }
  if (i32(local) < tokens) {
    logSumExp[(firstRow + local) * sizes.heads + head] =
      select(hidden, known.x / log2e + log(known.y), known.y > 0);
  }
}`;
