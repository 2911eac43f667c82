// The text of scores.wgsl on matrix units. See mixed-operands.ts.
import { FRAGMENT, PADDING, QUAD, times } from '../matrix-units.ts';
import { bringRows, CHUNK, chunkMain, mixedCommon } from './mixed-operands.ts';

export interface MixedScores {
  /** Of rows. */
  readonly width: number;
  /** Kinds of x that meet y: x0, x1. */
  readonly readers: 1 | 2;
}

export const mixedScoresBytes = (width: number): number =>
  2 * 2 * CHUNK * (width + PADDING) + 4 * 4 * FRAGMENT ** 2 + 2 * 4 * CHUNK;

/**
 * x_i · y_j of a chunk's head, where j ≤ i; for other pairs there is no telling what. A workgroup is four subgroups, each with 32 × 32
 * pairs, of which one has nothing to do.
 */
export function mixedScoresWgsl({ width, readers }: MixedScores): string {
  const invocations = 128;
  /** In vectors. */
  const stride = (width + PADDING) / QUAD;
  const bring = (name: string, array: string, units: string): string =>
    bringRows({ name, width, array, stride, invocations, leaveUnit: `${units}[row] = unit` });
  const fragments = [0, 1].flatMap((r) => [0, 1].map((c) => ({ r, c, name: `pair${r}${c}` })));
  const reader = (n: number): string => `{
    ${bring(`x${n}`, 'rowsX', 'unitX')}
    workgroupBarrier();
    ${fragments.map(({ name }) => `var ${name} = Sums();`).join('\n')}
    if (subgroup != 1) {
      ${times(
        width / FRAGMENT,
        (step) => `{
        ${times(2, (r) => `let left${r} = subgroupMatrixLoad<Left, row_major>(&rowsX, (row0 + ${16 * r}) * ${stride} + ${4 * step}, ${stride});`)}
        ${times(2, (c) => `let right${c} = subgroupMatrixLoad<Right, col_major>(&rowsY, (column0 + ${16 * c}) * ${stride} + ${4 * step}, ${stride});`)}
        ${fragments.map(({ r, c, name }) => `${name} = subgroupMatrixMultiplyAccumulate(left${r}, right${c}, ${name});`).join('\n')}
      }`,
      )}
    }
    ${fragments
      .map(
        ({ r, c, name }) => `
    subgroupMatrixStore<row_major>(&results, 64 * subgroup, ${name}, 4);
    workgroupBarrier();
    if (subgroup != 1) {
      let j = column0 + ${16 * c} + lane % 4 * 4;
      let units = vec4f(unitY[j], unitY[j + 1], unitY[j + 2], unitY[j + 3]);
      ${times(
        2,
        (half) => `{
        let i = row0 + ${16 * r + 8 * half} + lane / 4;
        scores${n}[pairs0 + i * 16 + j / 4] = unitX[i] * units * results[64 * subgroup + ${32 * half} + lane];
      }`,
      )}
    }
    workgroupBarrier();`,
      )
      .join('\n')}
  }`;
  return `${mixedCommon}

var<workgroup> rowsX: array<vec2u, ${CHUNK * stride}>;
var<workgroup> rowsY: array<vec2u, ${CHUNK * stride}>;
/** A fragment of each subgroup, on its way. */
var<workgroup> results: array<vec4f, ${FRAGMENT ** 2}>;
/** What rows were divided by. */
var<workgroup> unitX: array<f32, 64>;
var<workgroup> unitY: array<f32, 64>;

${chunkMain(invocations)}
  let row0 = 32 * (subgroup / 2);
  let column0 = 32 * (subgroup % 2);
  let pairs0 = (group.z * sizes.heads + head) * 1024;
  ${bring('y', 'rowsY', 'unitY')}
  ${times(readers, reader)}
}`;
}
