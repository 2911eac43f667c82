// The text of states.wgsl on matrix units. See mixed-operands.ts.
import { FRAGMENT, PADDING, putQuad, QUAD, times } from '../matrix-units.ts';
import { CHUNK, mixedCommon, mixedStateHalves, STATE_COLUMNS } from './mixed-operands.ts';

export const mixedStatesBytes = ({ dk }: { dk: number }): number =>
  2 * CHUNK * (dk + PADDING + STATE_COLUMNS + PADDING) + 4 * dk * STATE_COLUMNS + 4 * 68 + 16 * 8;

export interface MixedStates {
  readonly dk: number;
  readonly dv: number;
}

/**
 * As states.wgsl, S ← e^{b_C} S + (X ⊙ decay)ᵀ Y from chunk to chunk: a workgroup has 32 columns of one sequence's and head's
 * state in registers, 256 invocations. The states at the chunks' borders are kept as f16, fragment by fragment, divided by a power
 * of two for 32 columns.
 */
export function mixedStatesWgsl({ dk, dv }: MixedStates): string {
  const invocations = 256;
  const fragments = dk / FRAGMENT;
  const held = { x: (CHUNK * dk) / 4 / invocations, y: (CHUNK * STATE_COLUMNS) / 4 / invocations };
  /** In vectors. */
  const stride = { x: (dk + PADDING) / QUAD, y: (STATE_COLUMNS + PADDING) / QUAD };
  const quads = { x: dk / 4, y: STATE_COLUMNS / 4 };
  const rowOf = (name: 'x' | 'y', h: number): string => `(local + ${h * invocations}) / ${quads[name]}`;
  const columnOf = (name: 'x' | 'y'): string => `local % ${quads[name]}`;
  const width = { x: dk, y: dv };
  const offset = { x: '', y: 'column0 / 4 + ' };
  const names = ['x', 'y'] as const;
  const bring = names
    .map((name) =>
      times(
        held[name],
        (h) => `{
      let row = ${rowOf(name, h)};
      let known = start + min(row, tokens - 1);
      ${name}${h} = ${name}[(known * sizes.heads + head) * ${width[name] / QUAD} + ${offset[name]}${columnOf(name)}];
    }`,
      ),
    )
    .join('\n');
  // Not where they are read: who looks at what is read ahead waits for it, in front of the product.
  const mask = names
    .map((name) =>
      times(held[name], (h) => `${name}${h} = select(vec4f(), ${name}${h}, ${rowOf(name, h)} < tokens);`),
    )
    .join('\n');
  const largest = (name: 'x' | 'y'): string =>
    Array.from({ length: held[name] }, (_, h) => `largestOf(${name}${h})`).reduce(
      (a, b) => `max(${a}, ${b})`,
    );
  const block = mixedStateHalves({ dk, dv }) / 2;
  // Each subgroup has one or two fragments of the product.
  const own = (fragments * 2) / 8;
  const place = (f: number): [string, string] =>
    own === 2 ? ['subgroup', String(f)] : ['subgroup / 2', 'subgroup % 2'];

  return `${mixedCommon}

const hasInitial = 1u;
const fromLast = 2u;
const hasLast = 4u;

var<workgroup> sliceX: array<vec2u, ${CHUNK * stride.x}>;
var<workgroup> sliceY: array<vec2u, ${CHUNK * stride.y}>;
var<workgroup> products: array<vec2f, ${(dk * STATE_COLUMNS) / 2}>;
/** Of the tokens, and of the whole chunk. */
var<workgroup> decays: array<f32, 68>;
/** The largest of x, y and the state that each subgroup has. */
var<workgroup> largest: array<vec3u, 8>;

@compute @workgroup_size(${invocations})
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let head = group.y;
  let lane = group.z * sizes.heads + head;
  let own = sequenceChunks[group.z];
  let column0 = group.x * ${STATE_COLUMNS};
  let subgroup = local / 32;
  let isBackwards = (sizes.extra & fromLast) != 0;
  let firstRow = chunks[own.x].start;
  let lastTokens = chunks[own.x + max(own.y, 1) - 1].tokens;

  // An invocation has two columns of every 16th row, as they lie in fragments.
  let stateRow = local % 128 / 8;
  let statePair = (lane * ${dk} + stateRow) * ${dv / 2} + (column0 + 16 * (local / 128)) / 2 + local % 8;
  ${times(fragments, (i) => `var state${i} = vec2f();`)}
  if ((sizes.extra & hasInitial) != 0) {
    ${times(fragments, (i) => `state${i} = initial[statePair + ${(i * FRAGMENT * dv) / 2}];`)}
  }
  ${names.map((name) => times(held[name], (h) => `var ${name}${h} = vec4f();`)).join('\n')}
  var sum = vec2f();
  var whole = vec2f();
  if (own.y > 0) {
    let index = select(0, own.y - 1, isBackwards);
    let start = firstRow + ${CHUNK} * index;
    let tokens = select(${CHUNK}, lastTokens, index == own.y - 1);
    ${bring}
    if (gate == scalarGate) {
      sum = sums[(start + min(local, tokens - 1)) * sizes.heads + head];
      whole = sums[(start + tokens - 1) * sizes.heads + head];
    }
  }

  for (var n = 0u; n < own.y; n++) {
    let index = select(n, own.y - 1 - n, isBackwards);
    let chunkIndex = own.x + index;
    let tokens = select(${CHUNK}, lastTokens, index == own.y - 1);
    ${mask}
    let stateLargest = max(${Array.from({ length: fragments / 2 }, (_, i) => `largestOf(vec4f(state${2 * i}, state${2 * i + 1}))`).reduce((a, b) => `max(${a}, ${b})`)}, 0u);
    let found = subgroupMax(vec3u(${largest('x')}, ${largest('y')}, stateLargest));
    if (local % 32 == 0) {
      largest[subgroup] = found;
    }
    if (gate == scalarGate) {
      if (local < ${CHUNK}) {
        decays[local] = decayBetween(select(vec2f(), whole, sizes.toEnd != 0), sum);
      }
      if (local == 0) {
        decays[64] = decayBetween(whole, vec2f());
      }
    }
    workgroupBarrier();

    var most = largest[0];
    ${times(7, (i) => `most = max(most, largest[${i + 1}]);`)}
    let unitX = unitOf(most.x);
    let unitY = unitOf(most.y);
    let unitState = unitOf(most.z);
    // Leaves the state at the chunk's border.
    let block0 = (chunkIndex * sizes.heads + head) * ${block};
    let fragment0 = block0 + (column0 / 16 + local / 128) * 128 + local % 128;
    let inverseState = inverseOf(unitState);
    ${times(fragments, (i) => `states[fragment0 + ${i * (dv / FRAGMENT) * 128}] = pack2x16float(inverseState * state${i});`)}
    if (local == 0) {
      states[block0 + ${(dk * dv) / 2} + group.x] = pack2x16float(vec2f(exponentOf(unitState)));
    }
    let inverseX = inverseOf(unitX);
    let inverseY = inverseOf(unitY);
    var wholeDecay = 1f;
    if (gate == scalarGate) {
      wholeDecay = decays[64];
    }
    ${times(held.x, (h) => putQuad('sliceX', `${rowOf('x', h)} * ${stride.x} + ${columnOf('x')}`, `inverseX * x${h}`))}
    // Decay on Y, which is the narrower one.
    ${times(
      held.y,
      (h) => `{
      var factor = inverseY;
      if (gate == scalarGate) {
        factor *= decays[${rowOf('y', h)}];
      }
      ${putQuad('sliceY', `${rowOf('y', h)} * ${stride.y} + ${columnOf('y')}`, `factor * y${h}`)}
    }`,
    )}

    // The next chunk is on its way while this one is multiplied; behind the last one comes the last again.
    ${times(fragments, (i) => `var channel${i} = vec2f();`)}
    if (gate == vectorGate) {
      let at = ((firstRow + ${CHUNK} * index + tokens - 1) * sizes.heads + head) * ${dk} + stateRow;
      ${times(fragments, (i) => `channel${i} = sums[at + ${FRAGMENT * i}];`)}
    }
    {
      let following = min(n + 1, own.y - 1);
      let next = select(following, own.y - 1 - following, isBackwards);
      let start = firstRow + ${CHUNK} * next;
      let tokens = select(${CHUNK}, lastTokens, next == own.y - 1);
      ${bring}
      if (gate == scalarGate) {
        sum = sums[(start + min(local, tokens - 1)) * sizes.heads + head];
        whole = sums[(start + tokens - 1) * sizes.heads + head];
      }
    }
    workgroupBarrier();

    ${times(own, (f) => `var product${f} = Sums();`)}
    ${times(CHUNK / FRAGMENT, (step) => {
      const left = (f: number): string =>
        `subgroupMatrixLoad<Left, col_major>(&sliceX, ${FRAGMENT * step * stride.x} + 4 * (${place(f)[0]}), ${stride.x})`;
      return `{
      let left = ${left(0)};
      ${times(own, (f) => `product${f} = subgroupMatrixMultiplyAccumulate(left, subgroupMatrixLoad<Right, row_major>(&sliceY, ${FRAGMENT * step * stride.y} + 4 * (${place(f)[1]}), ${stride.y}), product${f});`)}
    }`;
    })}
    ${times(own, (f) => `subgroupMatrixStore<row_major>(&products, 128 * (2 * (${place(f)[0]}) + ${place(f)[1]}), product${f}, 8);`)}
    workgroupBarrier();

    let unit = sizes.stateScale * (unitX * unitY);
    ${times(
      fragments,
      (i) => `{
      var kept = wholeDecay;
      if (gate == vectorGate) {
        kept = decayBetween(channel${i}, vec2f());
      }
      state${i} = kept * state${i} + unit * products[local + ${256 * i}];
    }`,
    )}
  }

  if ((sizes.extra & hasLast) != 0) {
    ${times(fragments, (i) => `last[statePair + ${(i * FRAGMENT * dv) / 2}] = state${i};`)}
  }
}`;
}
