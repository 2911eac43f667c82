// The text of a segment's walks without what its chunks write, on matrix units. See ../segments.ts and mixed-operands.ts.
import { FRAGMENT, PADDING, times } from '../../matrix-units.ts';
import { mixedCommon, mixedStateHalves, STATE_COLUMNS } from '../mixed-operands.ts';
import { stepHalves } from './mixed-operands.ts';

/**
 * Whether what has come of a segment's entry is worth the way: it changes a value that is there, and is not too small for the f16
 * that are left of it.
 */
const tracesOf = (without: string, entry: string, unit: string): string =>
  `any((${without} + ${entry} != ${without}) & (abs(${entry}) >= vec2f(${unit} / 16777216)))`;

export interface MixedHomogeneous {
  /** Rows of the state. */
  readonly dk: number;
  /** Columns: dk, or those of values. */
  readonly width: number;
  /**
   * `transition`: from the identity, to `segmentTransitions`; columns that end as 0 are told of in `areThere`. `entry`: from what
   * enters the segment, added to the states that are there without it, for as long as it leaves traces.
   */
  readonly walk: 'transition' | 'entry';
}

/**
 * S ← D S + M S from chunk to chunk: a workgroup has 32 columns in registers, 256 invocations, which have the values that they
 * have in mixed-states-wgsl.ts.
 */
export function mixedHomogeneousWgsl({ dk, width, walk }: MixedHomogeneous): string {
  const fragments = dk / FRAGMENT;
  /** In words. */
  const stride = (STATE_COLUMNS + PADDING) / 2;
  const half = FRAGMENT ** 2 / 2;
  const border = mixedStateHalves({ dk, dv: width }) / 2;
  const transition = stepHalves({ rows: dk, columns: dk });
  // Each subgroup has one or two fragments of the product.
  const own = (fragments * 2) / 8;
  const place = (f: number): [string, string] =>
    own === 2 ? ['subgroup', String(f)] : ['(subgroup / 2)', '(subgroup % 2)'];
  const largestOf = (name: string): string =>
    Array.from(
      { length: fragments / 2 },
      (_, i) => `largestOf(vec4f(${name}${2 * i}, ${name}${2 * i + 1}))`,
    ).reduce((a, b) => `max(${a}, ${b})`);
  const pairAt = (i: number): string => `statePair + ${(i * FRAGMENT * width) / 2}`;
  const borderAt = (i: number): string => `border0 + ${i * (width / FRAGMENT) * half}`;

  const { begin, look, add, finish } = {
    transition: {
      begin: times(
        fragments,
        (i) =>
          `var state${i} = select(vec2f(), vec2f(1), vec2u(column, column + 1) == vec2u(stateRow + ${FRAGMENT * i}));`,
      ),
      // Subnormal values count as 0, which is what any operation of WGSL may make of them.
      look: `let ours = vec2u(${largestOf('state')}, 0);
    let isTraced = ours.x >= 0x00800000;`,
      add: '',
      finish: `${times(fragments, (i) => `segmentTransitions[${pairAt(i)}] = state${i};`)}
  if (local == 0) {
    areThere[(group.z * sizes.heads + head) * ${width / STATE_COLUMNS} + group.x] = select(1u, 0u, isOver);
  }`,
    },
    entry: {
      begin: times(fragments, (i) => `var state${i} = entries[${pairAt(i)}];`),
      look: `let border0 = lane * ${border} + (column0 / 16 + local / 128) * ${half} + local % 128;
    let unitAt = lane * ${border} + ${(dk * width) / 2} + group.x;
    let unitThere = exp2(unpack2x16float(states[unitAt]).x);
    var isTraced = false;
    ${times(
      fragments,
      (i) => `let there${i} = unitThere * unpack2x16float(states[${borderAt(i)}]);
    let sum${i} = there${i} + state${i};
    isTraced |= ${tracesOf(`there${i}`, `state${i}`, 'unitThere')};`,
    )}
    let ours = vec2u(${largestOf('state')}, ${largestOf('sum')});`,
      add: `let unitSum = unitOf(most.y);
    let inverseSum = inverseOf(unitSum);
    ${times(fragments, (i) => `states[${borderAt(i)}] = pack2x16float(inverseSum * sum${i});`)}
    if (local == 0) {
      states[unitAt] = pack2x16float(vec2f(exponentOf(unitSum)));
    }`,
      finish: '',
    },
  }[walk];

  return `${mixedCommon}

const fromLast = 2u;

/** The state, as an operand. */
var<workgroup> slice: array<u32, ${dk * stride}>;
var<workgroup> products: array<vec2f, ${(dk * STATE_COLUMNS) / 2}>;
/** Of each subgroup the largest value of the state, of the sum with what is there, and whether the walk goes on. */
var<workgroup> found: array<vec3u, 8>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let head = group.y;
  let own = segmentChunks[group.z];
  let column0 = group.x * ${STATE_COLUMNS};
  let column = column0 + 16 * (local / 128) + 2 * (local % 8);
  let subgroup = local / 32;
  let isBackwards = (sizes.extra & fromLast) != 0;
  let stateRow = local % 128 / 8;
  let sliceAt = stateRow * ${stride} + (column - column0) / 2;
  let statePair = ((group.z * sizes.heads + head) * ${dk} + stateRow) * ${width / 2} + column / 2;
  ${begin}
  var isOver = false;
  for (var n = 0u; n < own.y; n++) {
    let index = own.x + select(n, own.y - 1 - n, isBackwards);
    let lane = index * sizes.heads + head;
    ${look}
    let ofSubgroup = subgroupMax(vec3u(ours, u32(isTraced)));
    if (local % 32 == 0) {
      found[subgroup] = ofSubgroup;
    }
    let all = workgroupUniformLoad(&found);
    var most = all[0];
    ${times(7, (i) => `most = max(most, all[${i + 1}]);`)}
    isOver = most.z == 0;
    if (isOver) {
      break;
    }
    ${add}
    let unitState = unitOf(most.x);
    let inverse = inverseOf(unitState);
    ${times(
      fragments,
      (i) => `{
      slice[sliceAt + ${i * FRAGMENT * stride}] = bitcast<u32>(vec2<f16>(inverse * state${i}));
    }`,
    )}
    workgroupBarrier();

    ${times(own, (f) => `var product${f} = Sums();`)}
    ${times(
      fragments,
      (k) => `{
      let left = subgroupMatrixLoad<Left, row_major>(&transitions, lane * ${transition} + (${place(0)[0]} * ${fragments} + ${k}) * ${2 * half}, 16);
      ${times(own, (f) => `product${f} = subgroupMatrixMultiplyAccumulate(left, subgroupMatrixLoad<Right, row_major>(&slice, ${FRAGMENT * k * stride} + 8 * ${place(f)[1]}, ${stride}), product${f});`)}
    }`,
    )}
    ${times(own, (f) => `subgroupMatrixStore<row_major>(&products, 128 * (2 * ${place(f)[0]} + ${place(f)[1]}), product${f}, 8);`)}
    workgroupBarrier();

    let unit = exp2(unpack2x16float(transitionWords[lane * ${transition / 2} + ${(dk * dk) / 2}]).x) * unitState;
    let chunk = chunks[index];
    let row = (chunk.start + chunk.tokens - 1) * sizes.heads + head;
    var kept = 1f;
    if (gate == scalarGate) {
      kept = decayBetween(sums[row], vec2f());
    }
    ${times(
      fragments,
      (i) => `{
      if (gate == vectorGate) {
        kept = decayBetween(sums[row * ${dk} + stateRow + ${FRAGMENT * i}], vec2f());
      }
      state${i} = kept * state${i} + unit * products[local + ${256 * i}];
    }`,
    )}
  }

  ${finish}
}`;
}

export const mixedHomogeneousBytes = ({ dk }: { dk: number }): number =>
  2 * dk * (STATE_COLUMNS + PADDING) + 4 * dk * STATE_COLUMNS + 16 * 8;
