// The text of key-gradient.wgsl on matrix units, in float32.
import { declareSums, entry, rows } from './mixed-tile.ts';
import {
  accumulate,
  besideSums,
  declareGain,
  declareNext,
  deliver,
  endIfGrown,
  fetch,
  fitGain,
  fourScores,
  type Gain,
  hold,
  metK,
  metV,
  type SplitForm,
  type Own,
  ownDO,
  ownQ,
  places,
  preamble,
  products,
  put,
  putBesideSums,
  putFactors,
  store,
  unitOf,
} from './split-tile.ts';

const ownK: Own = { ...metK, token: 'key' };
const ownV: Own = { ...metV, token: 'key' };

const valueGain: Gain = { name: 'valueGain', flag: 'x' };
const keyGain: Gain = { name: 'keyGain', flag: 'y' };

/** Begins the way of a tile of queries, and of what is known of one of them. */
const fetchQ = (form: SplitForm, head: string, query: string): string => `{
      let head = ${head};
      let query = ${query};
      ${fetch(form, 'q', ownQ, 'query')}
      knownNext = stats[u32(sequence.start + min(query + i32(local % met), sequence.length - 1)) * sizes.heads + head];
    }`;

const fourColumns = (array: string): string =>
  `vec4f(${[0, 1, 2, 3].map((c) => `${array}[column0 + ${c}]`).join(', ')})`;

/** Gradients of the keys and values of a pass, as key-gradient.wgsl: rows are keys, columns are queries. */
export const keyGradientText = (form: SplitForm): string => `
${preamble(form)}
/** log2 Σ e^score, and dO · o, of each column. */
var<workgroup> normalisers: array<f32, met>;
var<workgroup> pulls: array<f32, met>;
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
  let perKey = i32(sizes.heads / sizes.keyHeads);
  let firstRow = u32(sequence.start + key);
  let scale = sizes.scale * log2e;
  ${places(form)}
  ${declareNext(form, 'q')}
  var knownNext = vec2f();
  ${declareNext(form, 'dO')}
  ${hold(form, ownK)}
  ${hold(form, ownV)}
  ${rows(
    form,
    (row, i) => `
  let unit${i} = scale * ${unitOf(ownK, `row0 + ${row}`)};
  let valueUnit${i} = ${unitOf(ownV, `row0 + ${row}`)};`,
  )}

  // Tiles of queries, of all heads that share the keys. Those that all keys are seen by come first, so that all rows find their gains
  // there.
  let tilesOfHead = max(0, (end - firstQuery + i32(met) - 1) / i32(met));
  let startQuery = firstQuery + min(tilesOfHead - 1, i32(own / met)) * i32(met);
  var left = perKey * tilesOfHead;
  var head = keyHead * u32(perKey);
  var query = startQuery;
  var isFirstRun = true;
  // 0 where the values' sums have the tile that comes next already.
  var unmet = 1f;
  loop {
    ${declareSums(form, 'dKey')}
    ${declareSums(form, 'dValue')}
    ${declareGain(form, valueGain)}
    ${declareGain(form, keyGain)}
    if (left > 0) {
      ${fetchQ(form, 'head', 'query')}
    }
    for (var tiles = 0; left > 0 && tiles < ${form.run}; tiles++) {
      let queryUnits = qUnits;
      ${put(form, 'slice', 'q')}
      if (local < met) {
        normalisers[local] = knownNext.x * log2e;
        pulls[local] = knownNext.y;
      }
      if (local == 0) {
        hasGrown = vec4u();
      }
      workgroupBarrier();
      ${fetch(form, 'dO', ownDO, 'query')}
      ${products(form, 'score', ownK, 'slice')}
      ${store(form, 'score')}
      workgroupBarrier();
      let whole = isWhole(query, i32(met), key, i32(own), sequence.length);
      let asking = vec4i(query + i32(column0)) + vec4i(0, 1, 2, 3);
      let seen = key + i32(row0);
      let normaliser = ${fourColumns('normalisers')};
      let pull = ${fourColumns('pulls')};
      ${rows(
        form,
        (row, i) => `
      var share${i} = exp2(unit${i} * queryUnits * ${fourScores(form, row)} - normaliser);
      if (!whole) {
        share${i} = select(vec4f(), share${i}, sees(asking, vec4i(seen + ${row}), sequence.length));
      }
      let factor${i} = share${i} * dOUnits;
      ${fitGain(valueGain, i, `factor${i}`)}
      ${putFactors(form, row, `${valueGain.name}${i} * unmet * factor${i}`)}`,
      )}
      ${put(form, 'slice', 'dO')}
      ${endIfGrown(valueGain)}
      ${products(form, 'dShare', ownV, 'slice')}
      ${store(form, 'dShare')}
      ${accumulate(form, 'dValue', 'slice')}
      workgroupBarrier();
      ${put(form, 'slice', 'q')}
      ${rows(
        form,
        (row, i) => `{
        let slope = valueUnit${i} * dOUnits * ${fourScores(form, row)} - pull;
        let factor = share${i} * slope * queryUnits;
        ${fitGain(keyGain, i, 'factor')}
        ${putFactors(form, row, `${keyGain.name}${i} * factor`)}
      }`,
      )}
      ${endIfGrown(keyGain, 'unmet = 0;')}
      unmet = 1;
      left--;
      query += i32(met);
      if (query >= end) {
        query = firstQuery;
      }
      if (query == startQuery) {
        head++;
      }
      ${fetchQ(form, 'min(head, sizes.heads - 1)', 'query')}
      ${accumulate(form, 'dKey', 'slice')}
      workgroupBarrier();
    }

    ${putBesideSums(form, (i) => `vec4f(sizes.scale / ${keyGain.name}${i}, 1 / ${valueGain.name}${i}, 0, 0)`)}
    ${deliver(
      form,
      'dKey',
      `if (i32(row) < tokens) {
        let to = (firstRow + row) * sizes.keyHeads + keyHead;
        var whole = ${besideSums('row')}.x * value;
        if (!isFirstRun) {
          whole += dKAt(to, column);
        }
        putDK(to, column, whole);
      }`,
    )}
    ${deliver(
      form,
      'dValue',
      `if (i32(row) < tokens) {
        let to = (firstRow + row) * sizes.keyHeads + keyHead;
        var whole = ${besideSums('row')}.y * value;
        if (!isFirstRun || sizes.continues != 0) {
          whole += dVAt(to, column);
        }
        putDV(to, column, whole);
      }`,
    )}
    if (left <= 0) {
      break;
    }
    isFirstRun = false;
  }
}`;
