// The text of key-gradient.wgsl on matrix units.
import {
  accumulate,
  declareNext,
  declareSums,
  deliver,
  entry,
  fetch,
  fourAt,
  fourScores,
  hold,
  type MixedForm,
  type Own,
  places,
  preamble,
  products,
  put,
  putFactors,
  rows,
  store,
} from './mixed-tile.ts';

const ownK: Own = { operand: 'packedK', at: 'keyAt', heads: 'sizes.keyHeads' };
const ownV: Own = { ...ownK, operand: 'packedV' };

/** Gradients of the keys and values of a pass, as key-gradient.wgsl: rows are keys, columns are queries. */
export const keyGradientText = (form: MixedForm): string => `
${preamble(form)}
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
      ${putFactors(form, row, `shareScale * share${i}`)}`,
      )}
      ${put(form, 'slice', 'dO')}
      workgroupBarrier();
      ${products(form, 'dShare', ownV, 'slice')}
      ${store(form, 'dShare')}
      ${accumulate(form, 'dValue', 'slice')}
      workgroupBarrier();
      ${put(form, 'slice', 'q')}
      ${rows(form, (row, i) => `${putFactors(form, row, `share${i} * (${fourScores(form, row)} - pull)`)}`)}
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
