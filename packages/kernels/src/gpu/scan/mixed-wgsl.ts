// The scan on matrix units, operands f16 and sums f32: the texts of its two stages. They are written by code, with every loop
// over registers written out, as that of the matrix product (mat-mul/mixed-wgsl.ts).
//
// f16 has few exponents, so everything is divided by a power of two on its way there: rows of operands by one each, a chunk's
// operands of states by one each, states by one for 32 columns. Decays are at most 1, and need none.

const FRAGMENT = 16;
const CHUNK = 64;
/** Values of state that a workgroup of states has in a row. */
export const STATE_COLUMNS = 32;
/** Of f16: neighbouring rows lie in different banks. */
const PADDING = 8;

export const times = (count: number, line: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => line(i)).join('\n');

/** What must stand before all else. */
export const mixedHeading = `enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;
// Subgroups are taken to be runs of invocations, which no analysis can know.
diagnostic(off, chromium.subgroup_matrix_uniformity);
diagnostic(off, subgroup_uniformity);`;

/** What all texts have. */
export const mixedCommon = `
alias Left = subgroup_matrix_left<f16, 16, 16>;
alias Right = subgroup_matrix_right<f16, 16, 16>;
alias Sums = subgroup_matrix_result<f32, 16, 16>;

/** The largest magnitude, as bits that grow with it. */
fn largestOf(values: vec4f) -> u32 {
  let found = abs(values);
  return bitcast<u32>(max(max(found.x, found.y), max(found.z, found.w)));
}

/** The power of two that \`largest\` lies just above, within bounds that leave room for products of three. */
fn unitOf(largest: u32) -> f32 {
  return bitcast<f32>(clamp(largest >> 23, 87u, 167u) << 23);
}

fn exponentOf(unit: f32) -> f32 {
  return f32(bitcast<u32>(unit) >> 23) - 127;
}

/** 1 / unit, exactly. */
fn inverseOf(unit: f32) -> f32 {
  return bitcast<f32>((254u - (bitcast<u32>(unit) >> 23)) << 23);
}`;

/** 4 values to an array of f16. */
export const put = (array: string, at: string, values: string): string => `{
      let at = ${at};
      let halves = vec4<f16>(${values});
      ${array}[at] = halves.x;
      ${array}[at + 1] = halves.y;
      ${array}[at + 2] = halves.z;
      ${array}[at + 3] = halves.w;
    }`;

export const mixedStatesBytes = ({ dk }: { dk: number }): number =>
  2 * CHUNK * (dk + PADDING + STATE_COLUMNS + PADDING) + 4 * dk * STATE_COLUMNS + 4 * 68 + 16 * 8;

/** Of one head's state: its fragments, and the exponents of the units of each 32 columns, of which every second value is one. */
export const mixedStateHalves = ({ dk, dv }: { dk: number; dv: number }): number =>
  dk * dv + Math.max(FRAGMENT, (2 * dv) / STATE_COLUMNS);

export interface MixedStates {
  readonly dk: number;
  readonly dv: number;
  /** The states are gradients, and what passes from chunk to chunk is wanted: see `passing` in the text. */
  readonly passing: boolean;
}

/**
 * As states.wgsl, S ← e^{b_C} S + (X ⊙ decay)ᵀ Y from chunk to chunk: a workgroup has 32 columns of one sequence's and head's
 * state in registers, 256 invocations. The states at the chunks' borders are kept as f16, fragment by fragment, divided by a power
 * of two for 32 columns. Of gradients, `passing` [chunk, head, dv / 16, dk] gets Σ S ⊙ dS of the border in front of the chunk, of
 * each row and 16 columns.
 */
export function mixedStatesWgsl({ dk, dv, passing }: MixedStates): string {
  const invocations = 256;
  const fragments = dk / FRAGMENT;
  const held = { x: (CHUNK * dk) / 4 / invocations, y: (CHUNK * STATE_COLUMNS) / 4 / invocations };
  const stride = { x: dk + PADDING, y: STATE_COLUMNS + PADDING };
  const quads = { x: dk / 4, y: STATE_COLUMNS / 4 };
  const rowOf = (name: 'x' | 'y', h: number): string => `(local + ${h * invocations}) / ${quads[name]}`;
  const columnOf = (name: 'x' | 'y'): string => `local % ${quads[name]} * 4`;
  const width = { x: dk, y: dv };
  const offset = { x: '', y: 'column0 + ' };
  const names = ['x', 'y'] as const;
  const bring = names
    .map((name) =>
      times(
        held[name],
        (h) => `{
      let row = ${rowOf(name, h)};
      let known = start + min(row, tokens - 1);
      let values = ${name}[((known * sizes.heads + head) * ${width[name]} + ${offset[name]}${columnOf(name)}) / 4];
      ${name}${h} = select(vec4f(), values, row < tokens);
    }`,
      ),
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

  // Behind the update, so that it is of the border in front of the chunk.
  const bringEntering = `
    let enteringAt = (chunkIndex * sizes.heads + head) * ${block} + (column0 / 16 + local / 128) * 128 + local % 128;
    ${times(fragments, (i) => `let entering${i} = entering[enteringAt + ${i * (dv / FRAGMENT) * 128}];`)}
    let enteringUnit = exp2(unpack2x16float(entering[(chunkIndex * sizes.heads + head) * ${block} + ${(dk * dv) / 2} + group.x]).x);`;
  const leavePassing = times(
    fragments,
    (i) => `{
      var product = enteringUnit * dot(state${i}, unpack2x16float(entering${i}));
      product += subgroupShuffleXor(product, 1);
      product += subgroupShuffleXor(product, 2);
      product += subgroupShuffleXor(product, 4);
      if (local % 8 == 0) {
        passing[((chunkIndex * sizes.heads + head) * ${dv / FRAGMENT} + 2 * group.x + local / 128) * ${dk} + stateRow + ${i * FRAGMENT}] = product;
      }
    }`,
  );

  return `${mixedCommon}

const hasInitial = 1u;
const fromLast = 2u;

var<workgroup> sliceX: array<f16, ${CHUNK * stride.x}>;
var<workgroup> sliceY: array<f16, ${CHUNK * stride.y}>;
var<workgroup> products: array<f32, ${dk * STATE_COLUMNS}>;
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
    ${times(held.x, (h) => put('sliceX', `${rowOf('x', h)} * ${stride.x} + ${columnOf('x')}`, `inverseX * x${h}`))}
    // Decay on Y, which is the narrower one.
    ${times(
      held.y,
      (h) => `{
      var factor = inverseY;
      if (gate == scalarGate) {
        factor *= decays[${rowOf('y', h)}];
      }
      ${put('sliceY', `${rowOf('y', h)} * ${stride.y} + ${columnOf('y')}`, `factor * y${h}`)}
    }`,
    )}

    // The next chunk is on its way while this one is multiplied; behind the last one comes the last again.
    ${times(fragments, (i) => `var channel${i} = vec2f();`)}
    if (gate == vectorGate) {
      let tokens = select(${CHUNK}, lastTokens, index == own.y - 1);
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
    ${passing ? bringEntering : ''}
    workgroupBarrier();

    ${times(own, (f) => `var product${f} = Sums();`)}
    ${times(CHUNK / FRAGMENT, (step) => {
      const left = (f: number): string =>
        `subgroupMatrixLoad<Left, col_major>(&sliceX, ${FRAGMENT * step * stride.x} + ${FRAGMENT} * (${place(f)[0]}), ${stride.x})`;
      return `{
      let left = ${left(0)};
      ${times(own, (f) => `product${f} = subgroupMatrixMultiplyAccumulate(left, subgroupMatrixLoad<Right, row_major>(&sliceY, ${FRAGMENT * step * stride.y} + ${FRAGMENT} * (${place(f)[1]}), ${stride.y}), product${f});`)}
    }`;
    })}
    ${times(own, (f) => `subgroupMatrixStore<row_major>(&products, 256 * (2 * (${place(f)[0]}) + ${place(f)[1]}), product${f}, 16);`)}
    workgroupBarrier();

    let unit = sizes.stateScale * (unitX * unitY);
    ${times(
      fragments,
      (i) => `{
      let at = 2 * local + ${512 * i};
      var kept = wholeDecay;
      if (gate == vectorGate) {
        kept = decayBetween(channel${i}, vec2f());
      }
      state${i} = kept * state${i} + unit * vec2f(products[at], products[at + 1]);
    }`,
    )}
    ${passing ? leavePassing : ''}
  }

  ${times(fragments, (i) => `last[statePair + ${(i * FRAGMENT * dv) / 2}] = state${i};`)}
}`;
}

/** Where reads have the scores of tokens from: x · y, or as they are given, or there are none. */
export type Pairs = 'made' | 'given' | 'none';

export interface MixedReads {
  /** Columns of x and y. */
  readonly inner: number;
  /** Columns of w and z. */
  readonly outer: number;
  /** z has the key's width: S is read along its other axis. */
  readonly transposed: boolean;
  readonly toEnd: boolean;
  readonly pairs: Pairs;
}

const PAIR_STRIDE = CHUNK + PADDING;

export const mixedReadsBytes = ({ inner, outer, pairs }: MixedReads): number =>
  2 * CHUNK * (inner + PADDING) +
  (pairs === 'none' ? 0 : 2 * CHUNK * (Math.max(inner, outer) + PADDING) + 2 * CHUNK * PAIR_STRIDE) +
  4 * 4 * FRAGMENT ** 2 +
  1024;

/**
 * As reads.wgsl, with the scores made where they are used: of a chunk's head,
 *
 *     z_i = α · decay_i ⊙ (x_i S) + β · Σ_j (x_i · y_j) e^{b_i − b_j} w_j        j ≤ i, or j ≥ i and e^{b_j − b_i} (\`toEnd\`)
 *
 * x, y and then w are in workgroup memory, S comes from the states' fragments as it is, and sums stay in fragments to the end.
 * A workgroup is four subgroups, each with a quarter of z's columns.
 */
export function mixedReadsWgsl({ inner, outer, transposed, toEnd, pairs }: MixedReads): string {
  const invocations = 128;
  const stride = { x: inner + PADDING, y: Math.max(inner, outer) + PADDING };
  const columns = outer / 4 / FRAGMENT;
  const [keys, values] = (transposed ? [outer, inner] : [inner, outer]).map((width) => width / FRAGMENT) as [
    number,
    number,
  ];
  const halves = mixedStateHalves({ dk: keys * FRAGMENT, dv: values * FRAGMENT });
  const unitsOfState = (values * FRAGMENT) / STATE_COLUMNS;
  const unitOfState = (n: number | string): string => `exp2(f32(states[unit0 + 2 * (${n})]))`;

  const bring = (name: string, width: number, array: string, rowStride: number, unit: string): string => {
    const quads = width / 4;
    const passes = (CHUNK * quads) / invocations;
    const batch = Math.min(passes, 8);
    return times(passes / batch, (b) => {
      const at = (p: number): string => `(local + ${(b * batch + p) * invocations}) / ${quads}`;
      return `{
    ${times(batch, (p) => `let raw${p} = ${name}[((chunk.start + min(${at(p)}, chunk.tokens - 1)) * sizes.heads + head) * ${quads} + local % ${quads}];`)}
    ${times(
      batch,
      (p) => `{
      let row = ${at(p)};
      let values = select(vec4f(), raw${p}, row < chunk.tokens);
      let unit = unitOf(subgroupMax(largestOf(values)));
      if (local % ${quads} == 0) {
        ${unit};
      }
      ${put(array, `row * ${rowStride} + local % ${quads} * 4`, `inverseOf(unit) * values`)}
    }`,
    )}
  }`;
    });
  };

  // A subgroup has 32 × 32 pairs, which one of the four has nothing of.
  const pairFragments = [0, 1].flatMap((r) => [0, 1].map((c) => ({ r, c, name: `pair${r}${c}` })));
  const makePairs = `
  ${pairFragments.map(({ name }) => `var ${name} = Sums();`).join('\n')}
  let hasPairs = subgroup != ${toEnd ? 2 : 1};
  if (hasPairs) {
    ${times(
      inner / FRAGMENT,
      (step) => `{
      ${times(2, (r) => `let left${r} = subgroupMatrixLoad<Left, row_major>(&rowsX, (pairRow + ${16 * r}) * ${stride.x} + ${16 * step}, ${stride.x});`)}
      ${times(2, (c) => `let right${c} = subgroupMatrixLoad<Right, col_major>(&rowsY, (pairColumn + ${16 * c}) * ${stride.y} + ${16 * step}, ${stride.y});`)}
      ${pairFragments.map(({ r, c, name }) => `${name} = subgroupMatrixMultiplyAccumulate(left${r}, right${c}, ${name});`).join('\n')}
    }`,
    )}
  }`;
  const keepPairs = pairFragments
    .map(
      ({ r, c, name }) => `
  subgroupMatrixStore<row_major>(&results, 256 * subgroup, ${name}, 16);
  workgroupBarrier();
  if (hasPairs) {
    let j = pairColumn + ${16 * c} + lane % 16;
    let factor = unitY[j] * inverseMost;
    ${times(
      8,
      (n) => `{
      let i = pairRow + ${16 * r + 2 * n} + lane / 16;
      var value = factor * results[256 * subgroup + ${32 * n} + lane];
      if (gate == scalarGate) {
        value *= decayBetween(tokenSums[i], tokenSums[j]);
      }
      pairs[i * ${PAIR_STRIDE} + j] = f16(select(0f, value, ${toEnd ? 'j >= i' : 'j <= i'}));
    }`,
    )}
  }
  workgroupBarrier();`,
    )
    .join('\n');

  // Rows of x have one unit in common, so that z's fragments need just one factor.
  const passesX = (CHUNK * inner) / 4 / invocations;
  const rowOfX = (p: number): string => `(local + ${p * invocations}) / ${inner / 4}`;
  const readRowsX = times(
    passesX,
    (
      p,
    ) => `var x${p} = x[((chunk.start + min(${rowOfX(p)}, chunk.tokens - 1)) * sizes.heads + head) * ${inner / 4} + local % ${inner / 4}];
  x${p} = select(vec4f(), x${p}, ${rowOfX(p)} < chunk.tokens);`,
  );
  const foundX = `var foundX = 0u;
    ${times(passesX, (p) => `foundX = max(foundX, largestOf(x${p}));`)}
    results[4 + subgroup] = bitcast<f32>(subgroupMax(foundX));`;
  const keepX = `
  let unitRows = unitOf(bitcast<u32>(max(max(results[4], results[5]), max(results[6], results[7]))));
  {
    let inverse = inverseOf(unitRows);
    ${times(passesX, (p) => put('rowsX', `${rowOfX(p)} * ${stride.x} + local % ${inner / 4} * 4`, `inverse * x${p}`))}
  }`;
  const readPairs = `
  // Reader i and writer j, of which the later one stands in the row where z looks to the end.
  ${times(
    8,
    (n) => `var given${n} = vec4f();
  {
    let i = ${8 * n} + local / 16;
    let j = local % 16 * 4 + vec4u(0, 1, 2, 3);
    let values = scores[((group.z * sizes.heads + head) * 64 + i) * 16 + local % 16];
    given${n} = select(vec4f(), values, (j <= vec4u(i)) & vec4<bool>(i < chunk.tokens));
  }`,
  )}`;
  const keepGiven = `
  {
    var found = 0u;
    ${times(8, (n) => `found = max(found, largestOf(given${n}));`)}
    results[subgroup] = bitcast<f32>(subgroupMax(found));
    ${foundX}
  }
  workgroupBarrier();
  let most = subgroupMax(max(unitY[lane], unitY[lane + 32]));
  let inverseMost = inverseOf(most);
  let unitPairs = unitOf(bitcast<u32>(max(max(results[0], results[1]), max(results[2], results[3]))));
${keepX}
  {
    let inversePairs = inverseOf(unitPairs);
    ${times(8, (n) =>
      times(4, (c) => {
        const [i, j] = [`(${8 * n} + local / 16)`, `(local % 16 * 4 + ${c})`];
        const [row, column] = toEnd ? [j, i] : [i, j];
        return `pairs[${row} * ${PAIR_STRIDE} + ${column}] = f16(inversePairs * given${n}.${'xyzw'[c]} * (unitY[${column}] * inverseMost));`;
      }),
    )}
  }
  workgroupBarrier();`;

  const sums = Array.from({ length: 4 }, (_, r) =>
    Array.from({ length: columns }, (__, c) => ({ r, c, name: `sum${r}${c}` })),
  ).flat();
  const rescale = (factor: string): string => `{
    let factor = ${factor};
    ${sums.map(({ name }) => `${name} = subgroupMatrixScalarMultiply(${name}, factor);`).join('\n')}
  }`;
  const stateProduct = times(inner / FRAGMENT, (step) => {
    const at = (c: number): string =>
      transposed ? `(column0 / 16 + ${c}) * ${values} + ${step}` : `${step * values} + column0 / 16 + ${c}`;
    const order = transposed ? 'col_major' : 'row_major';
    const isNewUnit = transposed && step > 0 && (step * FRAGMENT) % STATE_COLUMNS === 0;
    const unit = (step * FRAGMENT) / STATE_COLUMNS;
    return `${isNewUnit ? rescale(`${unitOfState(unit - 1)} / ${unitOfState(unit)}`) : ''}
  {
    ${times(columns, (c) => `let right${c} = subgroupMatrixLoad<Right, ${order}>(&states, state0 + (${at(c)}) * 256, 16);`)}
    ${times(4, (r) => `let left${r} = subgroupMatrixLoad<Left, row_major>(&rowsX, ${16 * r * stride.x + 16 * step}, ${stride.x});`)}
    ${sums.map(({ r, c, name }) => `${name} = subgroupMatrixMultiplyAccumulate(left${r}, right${c}, ${name});`).join('\n')}
  }`;
  });
  const pairProduct = times(
    4,
    (j) => `{
    ${times(columns, (c) => `let right${c} = subgroupMatrixLoad<Right, row_major>(&rowsY, ${16 * j * stride.y} + column0 + ${16 * c}, ${stride.y});`)}
    ${times(4, (r) =>
      (toEnd ? j >= r : j <= r)
        ? `let left${r} = subgroupMatrixLoad<Left, row_major>(&pairs, ${16 * r * PAIR_STRIDE + 16 * j}, ${PAIR_STRIDE});
    ${times(columns, (c) => `sum${r}${c} = subgroupMatrixMultiplyAccumulate(left${r}, right${c}, sum${r}${c});`)}`
        : '',
    )}
  }`,
  );
  const deliverWhole = sums
    .map(
      ({ r, c, name }) =>
        `subgroupMatrixStore<row_major>(&z, z0 + ${16 * r} * sizes.heads * ${outer} + ${16 * c}, subgroupMatrixScalarMultiply(${name}, unit), sizes.heads * ${outer});`,
    )
    .join('\n');
  const deliverSome = sums
    .map(
      ({ r, c, name }) => `
  subgroupMatrixStore<row_major>(&results, 256 * subgroup, ${name}, 16);
  workgroupBarrier();
  ${times(
    8,
    (n) => `{
    let i = ${16 * r + 2 * n} + lane / 16;
    if (i < chunk.tokens) {
      z[((chunk.start + i) * sizes.heads + head) * ${outer} + column0 + ${16 * c} + lane % 16] = unit * results[256 * subgroup + ${32 * n} + lane];
    }
  }`,
  )}
  workgroupBarrier();`,
    )
    .join('\n');

  const lastUnit = unitOfState(transposed ? unitsOfState - 1 : `column0 / ${STATE_COLUMNS}`);
  const decayX = `
  if (gate == scalarGate) {
    ${times(passesX, (p) => put('rowsX', `${rowOfX(p)} * ${stride.x} + local % ${inner / 4} * 4`, `rowDecays[${rowOfX(p)}] * inverseOf(unitRows) * x${p}`))}
  }`;

  return `${mixedCommon}

var<workgroup> rowsX: array<f16, ${CHUNK * stride.x}>;
${
  pairs === 'none'
    ? ''
    : `/** Of y, then of w. */
var<workgroup> rowsY: array<f16, ${CHUNK * stride.y}>;
var<workgroup> pairs: array<f16, ${CHUNK * PAIR_STRIDE}>;`
}
/** A fragment of each subgroup, on its way. */
var<workgroup> results: array<f32, 1024>;
/** Of rows of x, to the border. */
var<workgroup> rowDecays: array<f32, 64>;
/** What rows of y and w together were divided by. */
var<workgroup> unitY: array<f32, 64>;
/** b, that of the last token from there on. */
var<workgroup> tokenSums: array<vec2f, 64>;

@compute @workgroup_size(${invocations})
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let chunk = chunks[group.z];
  if (chunk.tokens == 0) {
    return;
  }
  let head = group.y;
  let subgroup = local / 32;
  let lane = local % 32;
  let pairRow = 32 * (subgroup / 2);
  let pairColumn = 32 * (subgroup % 2);
  let column0 = subgroup * ${outer / 4};
  let state0 = (group.z * sizes.heads + head) * ${halves};
  let unit0 = state0 + ${keys * values * FRAGMENT ** 2};

  if (gate == scalarGate && local < 64) {
    let sum = sums[(chunk.start + min(local, chunk.tokens - 1)) * sizes.heads + head];
    tokenSums[local] = sum;
    ${
      toEnd
        ? `rowDecays[local] = decayBetween(sums[(chunk.start + chunk.tokens - 1) * sizes.heads + head], sum);`
        : `rowDecays[local] = decayBetween(sum, vec2f());`
    }
  }
  ${
    pairs === 'given'
      ? ''
      : `${readRowsX}
  {
    ${foundX}
  }`
  }
  ${pairs === 'made' ? bring('y', inner, 'rowsY', stride.y, 'unitY[row] = unit') : ''}
  ${pairs === 'given' ? readPairs + readRowsX + bring('w', outer, 'rowsY', stride.y, 'unitY[row] = unit') : ''}
  workgroupBarrier();
  ${
    pairs === 'given'
      ? ''
      : `${keepX}
  workgroupBarrier();`
  }
  ${
    pairs === 'made'
      ? `${makePairs}
  workgroupBarrier();
  ${bring('w', outer, 'rowsY', stride.y, 'unitY[row] *= unit')}
  ${decayX}
  workgroupBarrier();`
      : ''
  }
  ${
    pairs === 'none'
      ? ''
      : pairs === 'given'
        ? keepGiven
        : `let most = subgroupMax(max(unitY[lane], unitY[lane + 32]));
  let inverseMost = inverseOf(most);
  ${keepPairs}`
  }

  ${sums.map(({ name }) => `var ${name} = Sums();`).join('\n')}
  ${stateProduct}
  ${
    pairs === 'none'
      ? `let unit = sizes.stateScale * ${lastUnit} * unitRows;`
      : `let unit = sizes.scoreScale * most * ${pairs === 'given' ? 'unitPairs' : 'unitRows'};
  ${rescale(`sizes.stateScale * ${lastUnit} * unitRows / unit`)}
  ${pairProduct}`
  }
  if (chunk.tokens == 64) {
    let z0 = (chunk.start * sizes.heads + head) * ${outer} + column0;
    ${deliverWhole}
    return;
  }
  ${deliverSome}
}`;
}
