// The text of the way that the state takes from chunk to chunk, on matrix units. See mixed-operands.ts.
import { FRAGMENT, PADDING, times } from '../../matrix-units.ts';
import { mixedCommon, mixedStateHalves, STATE_COLUMNS } from '../mixed-operands.ts';
import { stepHalves } from './mixed-operands.ts';

export interface MixedStates {
  readonly dk: number;
  readonly dv: number;
}

/**
 * S ← D S + M S + H from chunk to chunk: a workgroup has 32 columns of one sequence's and head's state in registers, 256
 * invocations. States at the borders are left as those of ../mixed-states-wgsl.ts.
 */
export function mixedStatesWgsl({ dk, dv }: MixedStates): string {
  const invocations = 256;
  const fragments = dk / FRAGMENT;
  /** In words. */
  const stride = (STATE_COLUMNS + PADDING) / 2;
  const half = FRAGMENT ** 2 / 2;
  const border = mixedStateHalves({ dk, dv }) / 2;
  const transition = stepHalves({ rows: dk, columns: dk });
  const addition = stepHalves({ rows: dk, columns: dv }) / 2;
  // Each subgroup has one or two fragments of the product.
  const own = (fragments * 2) / 8;
  const place = (f: number): [string, string] =>
    own === 2 ? ['subgroup', String(f)] : ['(subgroup / 2)', '(subgroup % 2)'];

  // What a step needs, as it is found.
  const whole = Array.from({ length: fragments }, (_, i) => `whole${i}`);
  const names = [
    ...Array.from({ length: fragments }, (_, k) => [`left${k}`, 'Left()']),
    ...Array.from({ length: fragments }, (_, i) => [`addition${i}`, '0u']),
    ...whole.map((name) => [name, 'vec2f()']),
    ['words', 'vec4u()'],
  ] as const;
  /** Declares `next` of each, of chunk `next`. */
  const bring = `
      let nextLane = next * sizes.heads + head;
      ${times(fragments, (k) => `let nextleft${k} = subgroupMatrixLoad<Left, row_major>(&transitions, nextLane * ${transition} + (${place(0)[0]} * ${fragments} + ${k}) * ${2 * half}, 16);`)}
      ${times(fragments, (i) => `let nextaddition${i} = additions[nextLane * ${addition} + (${i * (dv / FRAGMENT)} + column0 / 16 + local / 128) * ${half} + local % 128];`)}
      let nextwords = vec4u(
        additions[nextLane * ${addition} + ${(dk * dv) / 2}],
        additions[nextLane * ${addition} + ${(dk * dv) / 2 + 1}],
        transitionWords[nextLane * ${transition / 2} + ${(dk * dk) / 2}],
        transitionWords[nextLane * ${transition / 2} + ${(dk * dk) / 2 + 1}],
      );
      ${whole.map((name) => `var next${name} = vec2f();`).join('\n')}
      if (gate != noGate) {
        let chunk = chunks[next];
        let row = (chunk.start + chunk.tokens - 1) * sizes.heads + head;
        if (gate == scalarGate) {
          nextwhole0 = sums[row];
        } else {
          ${whole.map((name, i) => `next${name} = sums[row * ${dk} + stateRow + ${FRAGMENT * i}];`).join('\n')}
        }
      }`;
  const goOn = names.map(([name]) => `${name} = next${name};`).join('\n');

  /** Leaves the state at the border of chunk `lane`, and as an operand. */
  const leave = (lane: string): string => `
    let inverse = inverseOf(unitState);
    ${times(
      fragments,
      (i) => `{
      let halves = bitcast<u32>(vec2<f16>(inverse * state${i}));
      slice[sliceAt + ${i * FRAGMENT * stride}] = halves;
      states[${lane} * ${border} + (${i * (dv / FRAGMENT)} + column0 / 16 + local / 128) * ${half} + local % 128] = halves;
    }`,
    )}
    if (local == 0) {
      states[${lane} * ${border} + ${(dk * dv) / 2} + group.x] = pack2x16float(vec2f(exponentOf(unitState)));
    }`;

  const largestState = Array.from(
    { length: fragments / 2 },
    (_, i) => `largestOf(vec4f(state${2 * i}, state${2 * i + 1}))`,
  ).reduce((a, b) => `max(${a}, ${b})`);

  return `${mixedCommon}

const hasInitial = 1u;
const fromLast = 2u;
const hasLast = 4u;

/** The state, as an operand. */
var<workgroup> slice: array<u32, ${dk * stride}>;
var<workgroup> products: array<vec2f, ${(dk * STATE_COLUMNS) / 2}>;
/** Of each subgroup's state. */
var<workgroup> largest: array<u32, 8>;

fn largestOfAll() -> f32 {
  var most = largest[0];
  ${times(7, (i) => `most = max(most, largest[${i + 1}]);`)}
  return bitcast<f32>(most);
}

@compute @workgroup_size(${invocations})
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let head = group.y;
  let own = sequenceChunks[group.z];
  let column0 = group.x * ${STATE_COLUMNS};
  let subgroup = local / 32;
  let isBackwards = (sizes.extra & fromLast) != 0;

  // An invocation has two columns of every 16th row, as they lie in fragments.
  let stateRow = local % 128 / 8;
  let sliceAt = stateRow * ${stride} + 8 * (local / 128) + local % 8;
  let statePair = ((group.z * sizes.heads + head) * ${dk} + stateRow) * ${dv / 2} + (column0 + 16 * (local / 128)) / 2 + local % 8;
  ${times(fragments, (i) => `var state${i} = vec2f();`)}
  if ((sizes.extra & hasInitial) != 0) {
    ${times(fragments, (i) => `state${i} = initial[statePair + ${(i * FRAGMENT * dv) / 2}];`)}
  }
  if (own.y > 0) {
    ${names.map(([name, zero]) => `var ${name} = ${zero};`).join('\n')}
    var next = own.x + select(0, own.y - 1, isBackwards);
    {
      ${bring}
      ${goOn}
    }
    let found = subgroupMax(max(${largestState}, 0u));
    if (local % 32 == 0) {
      largest[subgroup] = found;
    }
    workgroupBarrier();
    var unitState = unitOf(bitcast<u32>(largestOfAll()));
    {
      ${leave('(next * sizes.heads + head)')}
    }
    for (var n = 0u; n < own.y; n++) {
      // The next chunk's are on their way; behind the last one comes the last again.
      let following = min(n + 1, own.y - 1);
      next = own.x + select(following, own.y - 1 - following, isBackwards);
      ${bring}
      workgroupBarrier();
      let most = largestOfAll();
      ${times(own, (f) => `var product${f} = Sums();`)}
      ${times(fragments, (k) => times(own, (f) => `product${f} = subgroupMatrixMultiplyAccumulate(left${k}, subgroupMatrixLoad<Right, row_major>(&slice, ${FRAGMENT * k * stride} + 8 * ${place(f)[1]}, ${stride}), product${f});`))}
      ${times(own, (f) => `subgroupMatrixStore<row_major>(&products, 128 * (2 * ${place(f)[0]} + ${place(f)[1]}), product${f}, 8);`)}
      workgroupBarrier();
      let unit = exp2(unpack2x16float(words.z).x) * unitState;
      let unitAddition = exp2(unpack2x16float(words.x).x);
      let scalarKept = decayBetween(whole0, vec2f());
      ${times(
        fragments,
        (i) => `{
        var kept = scalarKept;
        if (gate == vectorGate) {
          kept = decayBetween(whole${i}, vec2f());
        }
        state${i} = kept * state${i} + unit * products[local + ${256 * i}] + unitAddition * unpack2x16float(addition${i});
      }`,
      )}
      // A bound of the new state's values, which all know without asking each other: they come out below 2^15.
      let bound = most * (1 + ${dk} * bitcast<f32>(words.w)) + bitcast<f32>(words.y);
      unitState = unitOf(bitcast<u32>(bound)) / 16384;
      let found = subgroupMax(max(${largestState}, 0u));
      if (local % 32 == 0) {
        largest[subgroup] = found;
      }
      ${goOn}
      if (n + 1 < own.y) {
        ${leave('nextLane')}
      }
    }
  }

  if ((sizes.extra & hasLast) != 0) {
    ${times(fragments, (i) => `last[statePair + ${(i * FRAGMENT * dv) / 2}] = state${i};`)}
  }
}`;
}

export const mixedStatesBytes = ({ dk }: { dk: number }): number =>
  2 * dk * (STATE_COLUMNS + PADDING) + 4 * dk * STATE_COLUMNS + 4 * 8;
