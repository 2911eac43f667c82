// The text of reads.wgsl on matrix units, with the scores. See mixed-operands.ts.
import { FRAGMENT, PADDING, putQuad, QUAD, SUBGROUP, times } from '../matrix-units.ts';
import {
  bringRows,
  CHUNK,
  chunkMain,
  mixedCommon,
  mixedStateHalves,
  STATE_COLUMNS,
} from './mixed-operands.ts';

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
  /** No pair of a token with itself. */
  readonly strict?: boolean;
  /** Rows of w are multiplied with −`strengths`. */
  readonly weakened?: boolean;
  /** What z has by way of the state, unless left out; `adds`: what is in it already. */
  readonly from?: 'states' | 'nothing' | 'z';
}

/** Vectors of a fragment. */
const FRAGMENT_QUADS = FRAGMENT ** 2 / QUAD;
/** Of a row of it. */
const ROW_QUADS = FRAGMENT / QUAD;
/** Fragments of pairs on and below a chunk's diagonal. */
const PAIR_FRAGMENTS = 10;

/** Where a fragment of pairs lies: those above the diagonal are none, or, `toEnd`, those below. */
const pairsAt = (row: number, column: number): number => {
  const [later, earlier] = row > column ? [row, column] : [column, row];
  return ((later * (later + 1)) / 2 + earlier) * FRAGMENT_QUADS;
};

export const mixedReadsBytes = ({ inner, outer, pairs }: MixedReads): number =>
  2 * CHUNK * (inner + PADDING) +
  (pairs === 'none'
    ? 0
    : 2 * CHUNK * (Math.max(inner, outer) + PADDING) + 2 * PAIR_FRAGMENTS * FRAGMENT ** 2) +
  4 * outer * FRAGMENT +
  1024;

/**
 * As reads.wgsl, with the scores made where they are used: of a chunk's head,
 *
 *     z_i = α · decay_i ⊙ (x_i S) + β · Σ_j (x_i · y_j) e^{b_i − b_j} w_j        j ≤ i, or j ≥ i and e^{b_j − b_i} (\`toEnd\`)
 *
 * x, y and then w are in workgroup memory, S comes from the states' fragments as it is, and sums stay in fragments to the end.
 * A subgroup has 16 of z's columns.
 */
export function mixedReadsWgsl({
  inner,
  outer,
  transposed,
  toEnd,
  pairs,
  strict = false,
  weakened = false,
  from = 'states',
}: MixedReads): string {
  const after = strict ? ['>', '<'] : ['>=', '<='];
  const meets = toEnd ? `j ${after[0]} vec4u(i)` : `j ${after[1]} vec4u(i)`;
  const subgroups = outer / FRAGMENT;
  const invocations = SUBGROUP * subgroups;
  /** In vectors. */
  const stride = { x: (inner + PADDING) / QUAD, y: (Math.max(inner, outer) + PADDING) / QUAD };
  const [keys, values] = (transposed ? [outer, inner] : [inner, outer]).map((width) => width / FRAGMENT) as [
    number,
    number,
  ];
  const halves = mixedStateHalves({ dk: keys * FRAGMENT, dv: values * FRAGMENT });
  const unitsOfState = (values * FRAGMENT) / STATE_COLUMNS;
  const unitOfState = (n: number | string): string => `exp2(f32(states[unit0 + 2 * (${n})]))`;

  const bring = (name: 'y' | 'w', leaveUnit: string, factor?: string): string =>
    bringRows({
      name,
      width: name === 'y' ? inner : outer,
      array: 'rowsY',
      stride: stride.y,
      invocations,
      factor,
      leaveUnit,
    });

  const weakening = weakened
    ? '-strengths[(chunk.start + min(row, chunk.tokens - 1)) * sizes.heads + head]'
    : undefined;

  // A subgroup has 32 rows of pairs, and of their columns 32 where there are four subgroups, 16 where there are eight.
  const pairColumns = 8 / subgroups;
  const pairFragments = [0, 1].flatMap((r) =>
    Array.from({ length: pairColumns }, (_, c) => ({ r, c, name: `pair${r}${c}` })),
  );
  const makePairs = `
  ${pairFragments.map(({ name }) => `var ${name} = Sums();`).join('\n')}
  // Of pairs that do not meet it has half a square.
  let hasPairs = pairRow / 32 == pairColumn / 32 || pairRow ${toEnd ? '<' : '>'} pairColumn;
  if (hasPairs) {
    ${times(
      inner / FRAGMENT,
      (step) => `{
      ${times(2, (r) => `let left${r} = subgroupMatrixLoad<Left, row_major>(&rowsX, (pairRow + ${16 * r}) * ${stride.x} + ${ROW_QUADS * step}, ${stride.x});`)}
      ${times(pairColumns, (c) => `let right${c} = subgroupMatrixLoad<Right, col_major>(&rowsY, (pairColumn + ${16 * c}) * ${stride.y} + ${ROW_QUADS * step}, ${stride.y});`)}
      ${pairFragments.map(({ r, c, name }) => `${name} = subgroupMatrixMultiplyAccumulate(left${r}, right${c}, ${name});`).join('\n')}
    }`,
    )}
  }`;
  const keepPairs = pairFragments
    .map(
      ({ r, c, name }) => `
  subgroupMatrixStore<row_major>(&results, result0, ${name}, ${ROW_QUADS});
  workgroupBarrier();
  if (hasPairs && pairRow + ${16 * r} ${toEnd ? '<=' : '>='} pairColumn + ${16 * c}) {
    let j0 = pairColumn + ${16 * c} + lane % ${ROW_QUADS} * 4;
    let j = j0 + vec4u(0, 1, 2, 3);
    let at = pairsAt(pairRow / 16 + ${r}, pairColumn / 16 + ${c}) + lane;
    let factors = inverseMost * vec4f(${[0, 1, 2, 3].map((n) => `unitY[j0 + ${n}]`).join(', ')});
    ${times(
      2,
      (n) => `{
      let i = pairRow + ${16 * r + 8 * n} + lane / ${ROW_QUADS};
      var values = factors * results[result0 + ${SUBGROUP * n} + lane];
      if (gate == scalarGate) {
        let reader = tokenSums[i];
        values *= vec4f(${[0, 1, 2, 3].map((m) => `decayBetween(reader, tokenSums[j0 + ${m}])`).join(', ')});
      }
      ${putQuad('pairs', `at + ${SUBGROUP * n}`, `select(vec4f(), values, ${meets})`)}
    }`,
    )}
  }
  workgroupBarrier();`,
    )
    .join('\n');

  const largestOf = (first: string): string =>
    Array.from({ length: subgroups }, (_, n) => `results[${first}${n}].x`).reduce(
      (a, b) => `max(${a}, ${b})`,
    );

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
    results[8 + subgroup] = vec4f(bitcast<f32>(subgroupMax(foundX)));`;
  const keepX = `
  let unitRows = unitOf(bitcast<u32>(${largestOf('8 + ')}));
  {
    let inverse = inverseOf(unitRows);
    ${times(passesX, (p) => putQuad('rowsX', `${rowOfX(p)} * ${stride.x} + local % ${inner / 4}`, `inverse * x${p}`))}
  }`;
  const givenPasses = (CHUNK * CHUNK) / 4 / invocations;
  const readPairs = `
  // Reader i and writer j.
  ${times(
    givenPasses,
    (n) => `var given${n} = vec4f();
  {
    let i = ${(invocations / 16) * n} + local / 16;
    let j = local % 16 * 4 + vec4u(0, 1, 2, 3);
    let values = scores[((group.z * sizes.heads + head) * 64 + i) * 16 + local % 16];
    given${n} = select(vec4f(), values, (j <= vec4u(i)) & vec4<bool>(i < chunk.tokens));
  }`,
  )}`;
  const keepGiven = `
  {
    var found = 0u;
    ${times(givenPasses, (n) => `found = max(found, largestOf(given${n}));`)}
    results[subgroup] = vec4f(bitcast<f32>(subgroupMax(found)));
    ${from === 'states' ? foundX : ''}
  }
  workgroupBarrier();
  let most = subgroupMax(max(unitY[lane], unitY[lane + 32]));
  let inverseMost = inverseOf(most);
  let unitPairs = unitOf(bitcast<u32>(${largestOf('')}));
${from === 'states' ? keepX : ''}
  {
    let inversePairs = inverseOf(unitPairs);
    ${times(
      givenPasses,
      (n) => `{
      let i = ${(invocations / 16) * n} + local / 16;
      let j = local % 16 * 4;
      if (i / 16 >= j / 16) {
        let units = ${toEnd ? 'vec4f(unitY[i])' : `vec4f(${[0, 1, 2, 3].map((c) => `unitY[j + ${c}]`).join(', ')})`};
        ${putQuad('pairs', 'pairsAt(i / 16, j / 16) + i % 16 * 4 + j % 16 / 4', `inversePairs * given${n} * inverseMost * units`)}
      }
    }`,
    )}
  }
  workgroupBarrier();`;

  const sums = [0, 1, 2, 3].map((r) => ({ r, name: `sum${r}` }));
  const rescale = (factor: string): string => `{
    let factor = ${factor};
    ${sums.map(({ name }) => `${name} = subgroupMatrixScalarMultiply(${name}, factor);`).join('\n')}
  }`;
  const stateProduct = times(inner / FRAGMENT, (step) => {
    const at = transposed ? `subgroup * ${values} + ${step}` : `${step * values} + subgroup`;
    const order = transposed ? 'col_major' : 'row_major';
    const isNewUnit = transposed && step > 0 && (step * FRAGMENT) % STATE_COLUMNS === 0;
    const unit = (step * FRAGMENT) / STATE_COLUMNS;
    return `${isNewUnit ? rescale(`${unitOfState(unit - 1)} / ${unitOfState(unit)}`) : ''}
  {
    let right = subgroupMatrixLoad<Right, ${order}>(&states, state0 + (${at}) * 256, 16);
    ${sums.map(({ r, name }) => `${name} = subgroupMatrixMultiplyAccumulate(subgroupMatrixLoad<Left, row_major>(&rowsX, ${16 * r * stride.x + ROW_QUADS * step}, ${stride.x}), right, ${name});`).join('\n')}
  }`;
  });
  // Given pairs lie as they came: of readers and writers, of which the later one is z's row where it looks to the end.
  const pairOrder = pairs === 'given' && toEnd ? 'col_major' : 'row_major';
  const pairProduct = times(
    4,
    (j) => `{
    let right = subgroupMatrixLoad<Right, row_major>(&rowsY, ${16 * j * stride.y} + column0 / 4, ${stride.y});
    ${sums
      .filter(({ r }) => (toEnd ? j >= r : j <= r))
      .map(
        ({ r, name }) =>
          `${name} = subgroupMatrixMultiplyAccumulate(subgroupMatrixLoad<Left, ${pairOrder}>(&pairs, ${pairsAt(r, j)}, ${ROW_QUADS}), right, ${name});`,
      )
      .join('\n')}
  }`,
  );
  const bringZ = `if (chunk.tokens == 64) {
    let z0 = ((chunk.start * sizes.heads + head) * ${outer} + column0) / 4;
    ${sums
      .map(
        ({ r, name }) =>
          `${name} = subgroupMatrixScalarMultiply(subgroupMatrixLoad<Sums, row_major>(&z, z0 + ${16 * r} * sizes.heads * ${outer / QUAD}, sizes.heads * ${outer / QUAD}), 1 / unit);`,
      )
      .join('\n')}
  }`;
  const deliverWhole = sums
    .map(
      ({ r, name }) =>
        `subgroupMatrixStore<row_major>(&z, z0 + ${16 * r} * sizes.heads * ${outer / QUAD}, subgroupMatrixScalarMultiply(${name}, unit), sizes.heads * ${outer / QUAD});`,
    )
    .join('\n');
  const deliverSome = sums
    .map(
      ({ r, name }) => `
  subgroupMatrixStore<row_major>(&results, result0, ${name}, ${ROW_QUADS});
  workgroupBarrier();
  ${times(
    2,
    (n) => `{
    let i = ${16 * r + 8 * n} + lane / ${ROW_QUADS};
    if (i < chunk.tokens) {
      z[(((chunk.start + i) * sizes.heads + head) * ${outer} + column0) / 4 + lane % ${ROW_QUADS}] ${from === 'z' ? '+=' : '='} unit * results[result0 + ${SUBGROUP * n} + lane];
    }
  }`,
  )}
  workgroupBarrier();`,
    )
    .join('\n');

  const lastUnit = unitOfState(transposed ? unitsOfState - 1 : `column0 / ${STATE_COLUMNS}`);
  const decayX =
    from !== 'states'
      ? ''
      : `
  if (gate == scalarGate) {
    ${times(passesX, (p) => putQuad('rowsX', `${rowOfX(p)} * ${stride.x} + local % ${inner / 4}`, `rowDecays[${rowOfX(p)}] * inverseOf(unitRows) * x${p}`))}
  }`;

  return `${mixedCommon}

var<workgroup> rowsX: array<vec2u, ${CHUNK * stride.x}>;
${
  pairs === 'none'
    ? ''
    : `/** Of y, then of w. */
var<workgroup> rowsY: array<vec2u, ${CHUNK * stride.y}>;
/** By fragments. */
var<workgroup> pairs: array<vec2u, ${PAIR_FRAGMENTS * FRAGMENT_QUADS}>;

/** Where a fragment begins. */
fn pairsAt(row: u32, column: u32) -> u32 {
  let later = max(row, column);
  return (later * (later + 1) / 2 + min(row, column)) * ${FRAGMENT_QUADS};
}`
}
/** A fragment of each subgroup, on its way. */
var<workgroup> results: array<vec4f, ${subgroups * FRAGMENT_QUADS}>;
/** Of rows of x, to the border. */
var<workgroup> rowDecays: array<f32, 64>;
/** What rows of y and w together were divided by. */
var<workgroup> unitY: array<f32, 64>;
/** b, that of the last token from there on. */
var<workgroup> tokenSums: array<vec2f, 64>;

${chunkMain(invocations)}
  let pairRow = 32 * (subgroup / ${subgroups / 2});
  let pairColumn = ${16 * pairColumns} * (subgroup % ${subgroups / 2});
  let column0 = subgroup * ${FRAGMENT};
  let result0 = ${FRAGMENT_QUADS} * subgroup;
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
  ${pairs === 'made' ? bring('y', 'unitY[row] = unit') : ''}
  ${pairs === 'given' ? readPairs + (from === 'states' ? readRowsX : '') + bring('w', 'unitY[row] = unit', weakening) : ''}
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
  ${bring('w', 'unitY[row] *= unit', weakening)}
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
  ${from === 'states' ? stateProduct : ''}
  ${
    pairs === 'none'
      ? `let unit = sizes.stateScale * ${lastUnit} * unitRows;`
      : `let unit = sizes.scoreScale * most * ${pairs === 'given' ? 'unitPairs' : 'unitRows'};
  ${from === 'states' ? rescale(`sizes.stateScale * ${lastUnit} * unitRows / unit`) : from === 'z' ? bringZ : ''}
  ${pairProduct}`
  }
  if (chunk.tokens == 64) {
    let z0 = ((chunk.start * sizes.heads + head) * ${outer} + column0) / 4;
    ${deliverWhole}
    return;
  }
  ${deliverSome}
}`;
}
