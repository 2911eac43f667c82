// Operands of products on matrix units as rows of f16, packed once for all products that read them.
import type { GpuKernel, GpuPlan } from '../gpu/kernel.ts';
import { u32 } from '../gpu/kernel.ts';
import { kernelOf } from './gpu.ts';
import { PACK_ROWS, PACKED_WIDTH, packRowsWgsl, type Source } from './pack-rows-wgsl.ts';

/** What an op's dispatches are, and what they need in between. */
export type Part = Required<Pick<GpuPlan, 'dispatches' | 'scratch'>>;

/** What a dispatch has at most, shared between its sources: more than any device runs at once for each. */
const MOST_GROUPS = 65_535;

/** A matrix that is one tensor, or the rows of several. */
export interface Operand {
  readonly width: number;
  /** The rows of each tensor, by its name. */
  readonly sources: Readonly<Record<string, number>>;
}

const packedWidth = (width: number): number => PACKED_WIDTH * Math.ceil(width / PACKED_WIDTH);
/** Of a packed row, in vectors of 8. */
export const strideOf = (width: number): number => packedWidth(width) / 8;
export const packedOf = (matrix: string): string => `packed_${matrix}`;
export const scalesOf = (matrix: string): string => `scales_${matrix}`;

/** `packed` and `scales` of each matrix. */
export function packRows(matrices: Readonly<Record<string, Operand>>): Part {
  const names = Object.keys(matrices);
  const operands = Object.values(matrices);
  const sources = operands.flatMap(({ width, sources: own }, matrix) => {
    let start = 0;
    return Object.entries(own).map(([name, rows]) => {
      start += rows;
      return { name, rows, start: start - rows, matrix, width };
    });
  });
  const most = Math.floor(MOST_GROUPS / sources.length);
  const groups = sources.map(({ rows }) => Math.min(most, Math.ceil(rows / PACK_ROWS)));
  return {
    scratch: Object.fromEntries(
      Object.entries(matrices).flatMap(([name, { width, sources: own }]) => {
        const rows = sum(Object.values(own));
        return [
          [packedOf(name), { shape: [rows, packedWidth(width) / 2] }],
          [scalesOf(name), { shape: [rows] }],
        ];
      }),
    ),
    dispatches: [
      {
        kernel: kernelOf(
          packKernel,
          sources.map(({ matrix, width }) => ({ matrix, width })),
        ),
        buffers: [...sources.map(({ name }) => name), ...names.map(packedOf), ...names.map(scalesOf)],
        uniforms: sources
          .flatMap(({ rows, start, width }, i) => [groups[i] as number, rows, start, width])
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
      ...sources.map(() => 'read' as const),
      ...Array.from(matrices).flatMap(() => ['write', 'write'] as const),
    ],
  };
};
