// The text of query-gradient.wgsl on matrix units, in float32.
import { declareSums, entry, rows } from './mixed-tile.ts';
import {
  accumulate,
  besideSums,
  declareGain,
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
  ownDO,
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

const gain: Gain = { name: 'gain', flag: 'x' };

/** Gradient of the queries of a pass, as query-gradient.wgsl. */
export const queryGradientText = (form: SplitForm): string => `
${preamble(form)}
/** log2 Σ e^score, and dO · o in units of the row's dO, of each row. */
var<workgroup> normalisers: array<f32, own>;
var<workgroup> pulls: array<f32, own>;
${entry(form)}
  ${queries(form)}
  ${hold(form, ownQ)}
  ${hold(form, ownDO)}
  ${rows(form, (row, i) => `let unit${i} = scale * ${unitOf(ownQ, `row0 + ${row}`)};`)}
  if (local < own) {
    let known = stats[(firstRow + min(local, u32(tokens) - 1)) * sizes.heads + head];
    normalisers[local] = known.x * log2e;
    pulls[local] = known.y / ${unitOf(ownDO, 'local')};
  }

  var adds = sizes.continues != 0;
  var key = firstKey;
  loop {
    ${declareSums(form, 'sum')}
    ${declareGain(form, gain)}
    ${fetch(form, 'sliceV', metV, 'key')}
    ${put(form, 'sliceV')}
    workgroupBarrier();
    for (var tiles = 0; key < end && tiles < ${form.run}; tiles++) {
      let valueUnits = sliceVUnits;
      if (local == 0) {
        hasGrown = vec4u();
      }
      ${fetch(form, 'sliceK', metK, 'key')}
      ${products(form, 'dShare', ownDO, 'sliceV')}
      ${store(form, 'dShare')}
      // The keys before these have been multiplied.
      workgroupBarrier();
      ${rows(form, (row, i) => `let slope${i} = valueUnits * ${fourScores(form, row)} - pulls[row0 + ${row}];`)}
      ${put(form, 'sliceK')}
      workgroupBarrier();
      ${fetch(form, 'sliceV', metV, 'min(key + i32(met), (end - 1) / i32(met) * i32(met))')}
      ${products(form, 'score', ownQ, 'sliceK')}
      ${store(form, 'score')}
      workgroupBarrier();
      let whole = isWhole(query, i32(own), key, i32(met), sequence.length);
      let keys = vec4i(key + i32(column0)) + vec4i(0, 1, 2, 3);
      let asking = query + i32(row0);
      ${rows(
        form,
        (row, i) => `{
        var share = exp2(unit${i} * sliceKUnits * ${fourScores(form, row)} - normalisers[row0 + ${row}]);
        if (!whole) {
          share = select(vec4f(), share, sees(vec4i(asking + ${row}), keys, sequence.length));
        }
        let factor = share * slope${i} * sliceKUnits;
        ${fitGain(gain, i, 'factor')}
        ${putFactors(form, row, `${gain.name}${i} * factor`)}
      }`,
      )}
      ${put(form, 'sliceV')}
      ${endIfGrown(gain)}
      ${accumulate(form, 'sum', 'sliceK')}
      key += i32(met);
    }

    ${putBesideSums(form, (i, row) => `vec4f(sizes.scale * ${unitOf(ownDO, `row0 + ${row}`)} / ${gain.name}${i})`)}
    ${deliver(
      form,
      'sum',
      `if (i32(row) < tokens) {
        let to = (firstRow + row) * sizes.heads + head;
        var whole = ${besideSums('row')}.x * value;
        if (adds) {
          whole += dQAt(to, column);
        }
        putDQ(to, column, whole);
      }`,
    )}
    if (key >= end) {
      break;
    }
    adds = true;
  }
}`;
