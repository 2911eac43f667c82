// The text of query-gradient.wgsl on matrix units.
import {
  accumulate,
  declareSums,
  deliver,
  entry,
  fetch,
  fourScores,
  hold,
  keyOf,
  type MixedForm,
  type Own,
  ownQ,
  preamble,
  products,
  put,
  putFactors,
  queries,
  rows,
  store,
} from './mixed-tile.ts';

const ownDO: Own = { ...ownQ, operand: 'packedDO' };

/** Gradient of the queries of a pass, as query-gradient.wgsl. dO, and all that is linear in it, is packed times gradientScale[0]. */
export const queryGradientText = (form: MixedForm): string => `
${preamble(form)}
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
      ${putFactors(form, row, `share * slope${i}`)}
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
