// Second stage of sums over rows: adds up what the workgroups of a first stage have left.
import { u32, type GpuDispatch } from './kernel.ts';
import { spread } from './spread.ts';
import wgsl from './sum-rows.wgsl';

/** How a workgroup is shared out: of many rows it has fewer columns, so that no invocation waits for row after row. */
const FEW_ROWS = { columns: 32, slots: 8 };
const MANY_ROWS = { columns: 8, slots: 32 };
const MANY = 64;

/** y [width] = the sum of the rows of x [rows, width]; the same bits for the same input. */
export function sumRows(x: string, y: string, rows: number, width: number): GpuDispatch {
  const constants = rows < MANY ? FEW_ROWS : MANY_ROWS;
  return {
    kernel: { name: 'SumRows', wgsl, bindings: ['read', 'write'], constants },
    buffers: [x, y],
    uniforms: [u32(rows), u32(width)],
    workgroups: spread(Math.ceil(width / constants.columns)),
  };
}
