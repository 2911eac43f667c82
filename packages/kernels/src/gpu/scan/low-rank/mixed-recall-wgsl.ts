// The text of what a triangular system's solution is where the state is known, on matrix units. See mixed-operands.ts.
import { FRAGMENT, PADDING, putQuad, QUAD, times } from '../../matrix-units.ts';
import { CHUNK, chunkMain, mixedCommon, mixedStateHalves, STATE_COLUMNS } from '../mixed-operands.ts';
import { blockAt, INVERSE_HALVES, strengthOf, triangle } from './mixed-operands.ts';

export interface MixedRecall {
  readonly dk: number;
  readonly dv: number;
  readonly turned: boolean;
}

export const mixedRecallBytes = ({ dk, dv }: Pick<MixedRecall, 'dk' | 'dv'>): number =>
  2 * CHUNK * (Math.max(dk, dv) + PADDING) + 4 * 4 * FRAGMENT ** 2 + 4 * 2 * CHUNK + 4 * 4;

/**
 * Z = T (β V + Ã S) of a chunk's head, or Tᵀ (Y + X dS) for the gradient (`turned`). A workgroup is four subgroups, each with a
 * quarter of Z's columns.
 */
export function mixedRecallWgsl({ dk, dv, turned }: MixedRecall): string {
  const invocations = 128;
  /** In vectors. */
  const stride = { x: (dk + PADDING) / QUAD, z: (dv + PADDING) / QUAD };
  const columns = dv / 4 / FRAGMENT;
  const values = dv / FRAGMENT;
  const fragment = FRAGMENT ** 2;
  const passes = (CHUNK * dk) / 4 / invocations;
  const row = (p: number): string => `((local + ${p * invocations}) / ${dk / 4})`;
  const all = [0, 1, 2, 3].flatMap((r) =>
    Array.from({ length: columns }, (_, c) => ({ r, c, name: `${r}${c}` })),
  );
  // Of a fragment an invocation has four columns of two rows.
  const rowOf = (r: number, n: number): string => `(${16 * r + 8 * n} + lane / 4)`;
  const columnOf = (c: number): string => `${4 * c} + lane % 4`;
  const result = (n: number): string => `results[${fragment / QUAD} * subgroup + ${32 * n} + lane]`;
  const block = INVERSE_HALVES;

  return `${mixedCommon}
${strengthOf}

/** X, then what T is multiplied with. */
var<workgroup> rows: array<vec2u, ${CHUNK * Math.max(stride.x, stride.z)}>;
/** A fragment of each subgroup, on its way. */
var<workgroup> results: array<vec4f, ${fragment}>;
/** Of rows of x and of w. */
var<workgroup> factors: array<f32, 64>;
var<workgroup> strengths: array<f32, 64>;
var<workgroup> largest: array<u32, 4>;

${chunkMain(invocations)}
  let lane0 = group.z * sizes.heads + head;
  let column0 = subgroup * ${dv / 4};
  let quad0 = column0 / 4;
  let state0 = lane0 * ${mixedStateHalves({ dk, dv })};
  if (local < 64) {
    let row = (chunk.start + min(local, chunk.tokens - 1)) * sizes.heads + head;
    let strength = ${turned ? '1f' : 'strengthOf(row)'};
    strengths[local] = strength;
    var factor = ${turned ? '1f' : '-strength'};
    if (gate == scalarGate) {
      let sum = sums[row];
      factor *= ${turned ? 'decayBetween(sums[(chunk.start + chunk.tokens - 1) * sizes.heads + head], sum)' : 'decayBetween(sum, vec2f())'};
    }
    factors[local] = factor;
  }
  ${times(passes, (p) => `var x${p} = x[((chunk.start + min(${row(p)}, chunk.tokens - 1)) * sizes.heads + head) * ${dk / 4} + local % ${dk / 4}];`)}
  workgroupBarrier();
  {
    var most = 0u;
    ${times(
      passes,
      (p) => `x${p} = factors[${row(p)}] * select(vec4f(), x${p}, ${row(p)} < chunk.tokens);
    most = max(most, largestOf(x${p}));`,
    )}
    let found = subgroupMax(most);
    if (lane == 0) {
      largest[subgroup] = found;
    }
  }
  workgroupBarrier();
  let unitRows = unitOf(max(max(largest[0], largest[1]), max(largest[2], largest[3])));
  {
    let inverse = inverseOf(unitRows);
    ${times(passes, (p) => putQuad('rows', `${row(p)} * ${stride.x} + local % ${dk / 4}`, `inverse * x${p}`))}
  }
  // What is not recalled.
  ${all
    .map(({ r, c, name }) =>
      [0, 1]
        .map(
          (n) =>
            `var g${name}x${n} = w[((chunk.start + min(${rowOf(r, n)}, chunk.tokens - 1)) * sizes.heads + head) * ${dv / QUAD} + quad0 + ${columnOf(c)}];`,
        )
        .join('\n'),
    )
    .join('\n')}
  workgroupBarrier();

  ${all.map(({ name }) => `var sum${name} = Sums();`).join('\n')}
  ${times(
    dk / FRAGMENT,
    (step) => `{
    ${times(columns, (c) => `let right${c} = subgroupMatrixLoad<Right, row_major>(&states, state0 + (${step * values + c} + column0 / 16) * ${fragment}, 16);`)}
    ${times(4, (r) => `let left${r} = subgroupMatrixLoad<Left, row_major>(&rows, ${16 * r * stride.x + 4 * step}, ${stride.x});`)}
    ${all.map(({ r, c, name }) => `sum${name} = subgroupMatrixMultiplyAccumulate(left${r}, right${c}, sum${name});`).join('\n')}
  }`,
  )}
  let unitState = unitRows * exp2(f32(states[state0 + ${dk * dv} + 2 * (column0 / ${STATE_COLUMNS})]));
  var most = 0u;
  ${all
    .map(
      ({
        r,
        name,
      }) => `subgroupMatrixStore<row_major>(&results, ${fragment / QUAD} * subgroup, sum${name}, 4);
  workgroupBarrier();
  ${[0, 1]
    .map(
      (
        n,
      ) => `g${name}x${n} = select(vec4f(), strengths[${rowOf(r, n)}] * g${name}x${n} + unitState * ${result(n)}, ${rowOf(r, n)} < chunk.tokens);
  most = max(most, largestOf(g${name}x${n}));`,
    )
    .join('\n')}
  workgroupBarrier();`,
    )
    .join('\n')}
  // The columns are the subgroup's own, and so is their unit.
  let unit = unitOf(subgroupMax(most));
  {
    let inverse = inverseOf(unit);
    ${all
      .map(({ r, c, name }) =>
        [0, 1]
          .map((n) =>
            putQuad(
              'rows',
              `${rowOf(r, n)} * ${stride.z} + quad0 + ${columnOf(c)}`,
              `inverse * g${name}x${n}`,
            ),
          )
          .join('\n'),
      )
      .join('\n')}
  }
  workgroupBarrier();

  ${all.map(({ name }) => `var z${name} = Sums();`).join('\n')}
  {
    ${times(4, (j) => times(columns, (c) => `let right${j}${c} = subgroupMatrixLoad<Right, row_major>(&rows, ${16 * j * stride.z} + quad0 + ${4 * c}, ${stride.z});`))}
    ${triangle
      .map(({ row: i, column: j }) => {
        const [order, z, x] = turned ? ['col_major', j, i] : ['row_major', i, j];
        return `{
      let left = subgroupMatrixLoad<Left, ${order}>(&inverses, lane0 * ${block} + ${blockAt(i, j)}, 16);
      ${times(columns, (c) => `z${z}${c} = subgroupMatrixMultiplyAccumulate(left, right${x}${c}, z${z}${c});`)}
    }`;
      })
      .join('\n')}
  }
  let unitZ = unit * exp2(f32(inverses[lane0 * ${block} + ${triangle.length * fragment}]));
  if (chunk.tokens == 64) {
    let z0 = (chunk.start * sizes.heads + head) * ${dv / QUAD} + quad0;
    ${all
      .map(
        ({ r, c, name }) =>
          `subgroupMatrixStore<row_major>(&z, z0 + ${16 * r} * sizes.heads * ${dv / QUAD} + ${4 * c}, subgroupMatrixScalarMultiply(z${name}, unitZ), sizes.heads * ${dv / QUAD});`,
      )
      .join('\n')}
    return;
  }
  ${all
    .map(
      ({
        r,
        c,
        name,
      }) => `subgroupMatrixStore<row_major>(&results, ${fragment / QUAD} * subgroup, z${name}, 4);
  workgroupBarrier();
  ${[0, 1]
    .map(
      (n) => `if (${rowOf(r, n)} < chunk.tokens) {
    z[((chunk.start + ${rowOf(r, n)}) * sizes.heads + head) * ${dv / QUAD} + quad0 + ${columnOf(c)}] = unitZ * ${result(n)};
  }`,
    )
    .join('\n')}
  workgroupBarrier();`,
    )
    .join('\n')}
}`;
}
