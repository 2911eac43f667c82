// Operands of products on matrix units as rows of f16, packed once for all products that read them.
import type { GpuKernel, GpuPlan } from '../gpu/kernel.ts';
import { u32 } from '../gpu/kernel.ts';
import { kernelOf } from '../gpu/kernel-of.ts';
import { MOST_HELD_WIDTH, PACK_ROWS, PACKED_WIDTH, packRowsWgsl, type Source } from './pack-rows-wgsl.ts';

/** What an op's dispatches are, and what they need in between. */
export type Part = Required<Pick<GpuPlan, 'dispatches' | 'scratch'>>;

/** What a dispatch has at most, shared between its sources: more than any device runs at once for each. */
const MOST_GROUPS = 65_535;

/** A matrix that is one tensor, or the rows of several; or the columns of several. */
export type Operand =
  | {
      readonly width: number;
      /** The rows of each tensor, by its name. */
      readonly sources: Readonly<Record<string, number>>;
    }
  | {
      readonly rows: number;
      /** The width of each tensor, by its name; see {@link canPackColumns}. */
      readonly columns: Readonly<Record<string, number>>;
    };

/** Whether tensors of these widths can be packed side by side: a vector is to be of one alone, and rows are to stay in registers. */
export const canPackColumns = (widths: readonly number[]): boolean =>
  sum(widths) <= MOST_HELD_WIDTH && widths.every((width) => width % 4 === 0);

const packedWidth = (width: number): number => PACKED_WIDTH * Math.ceil(width / PACKED_WIDTH);
/** Of a packed row, in vectors of 8. */
export const strideOf = (width: number): number => packedWidth(width) / 8;
export const packedOf = (matrix: string): string => `packed_${matrix}`;
export const scalesOf = (matrix: string): string => `scales_${matrix}`;

/** What is packed in one go: the rows of a tensor, or of several side by side. */
interface Strip {
  readonly tensors: readonly string[];
  readonly widths: readonly number[];
  readonly rows: number;
}

const stripsOf = (operand: Operand): Strip[] =>
  'columns' in operand
    ? [{ tensors: Object.keys(operand.columns), widths: Object.values(operand.columns), rows: operand.rows }]
    : Object.entries(operand.sources).map(([name, rows]) => ({
        tensors: [name],
        widths: [operand.width],
        rows,
      }));

/** `packed` and `scales` of each matrix. */
export function packRows(matrices: Readonly<Record<string, Operand>>): Part {
  const names = Object.keys(matrices);
  const strips = Object.values(matrices).flatMap((operand, matrix) => {
    let start = 0;
    return stripsOf(operand).map((strip) => {
      start += strip.rows;
      return { ...strip, start: start - strip.rows, matrix };
    });
  });
  const most = Math.floor(MOST_GROUPS / strips.length);
  const groups = strips.map(({ rows }) => Math.min(most, Math.ceil(rows / PACK_ROWS)));
  const scratch = names.flatMap((name, matrix) => {
    const own = strips.filter((strip) => strip.matrix === matrix);
    const rows = sum(own.map((strip) => strip.rows));
    return [
      [packedOf(name), { shape: [rows, packedWidth(sum(own[0]?.widths ?? [])) / 2] }],
      [scalesOf(name), { shape: [rows] }],
    ];
  });
  return {
    scratch: Object.fromEntries(scratch),
    dispatches: [
      {
        kernel: kernelOf(
          packKernel,
          strips.map(({ matrix, widths }) => ({ matrix, widths })),
        ),
        buffers: [
          ...strips.flatMap(({ tensors }) => tensors),
          ...names.map(packedOf),
          ...names.map(scalesOf),
        ],
        uniforms: strips
          .flatMap(({ rows, start, widths }, i) => [groups[i] as number, rows, start, sum(widths)])
          .map(u32),
        workgroups: [sum(groups)],
      },
    ],
  };
}

/**
 * Whether a stage has the buffers to pack a map's weight from a list of so many, with x and dy beside it. A longer list is joined: that
 * is two passes for 20 weights, forward, where packing them in two would be one less there and one more in the gradient.
 */
export const canPackList = (count: number, { limits }: GPUDevice): boolean =>
  count + 8 <= limits.maxStorageBuffersPerShaderStage;

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

const packKernel = (sources: readonly Source[]): GpuKernel => {
  const matrices = new Set(sources.map(({ matrix }) => matrix));
  return {
    name: 'PackRows',
    wgsl: packRowsWgsl(sources),
    bindings: [
      ...sources.flatMap(({ widths }) => widths.map(() => 'read' as const)),
      ...Array.from(matrices).flatMap(() => ['write', 'write'] as const),
    ],
  };
};
