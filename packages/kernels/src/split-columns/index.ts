// The columns of a matrix, in tensors of their own, and back; and maps whose columns are taken apart.
import { concat, defineOp, split, type Op, type OpInputs, type Tensor, type Tensor2D } from '@mnemix/tensor';
import { byCount } from '../by-count.ts';
import { gpuKernel } from '../gpu/bridge.ts';
import { moveColumns, nameOf } from './gpu.ts';

export interface ColumnsAttrs {
  /** Of each part; together the width of the matrix. */
  readonly widths: readonly number[];
}

/** Parts y0, y1, … */
export type Columns = Record<string, Tensor>;

const kernels = gpuKernel<{ y: Tensor }, ColumnsAttrs>(({ shapes: { y }, attrs: { widths }, device }) => {
  if (widths.length + 1 > device.limits.maxStorageBuffersPerShaderStage) return undefined;
  const [rows = 0] = y;
  return {
    outputs: Object.fromEntries(widths.map((width, i) => [nameOf(i), { shape: [rows, width] }])),
    dispatches: [moveColumns('split', rows, widths)],
  };
});

/** One op for each number of parts, by the names of its outputs. */
function byWidths<I extends OpInputs>(make: (outputs: string[]) => Op<I, Columns, ColumnsAttrs>) {
  const ops = byCount((count) => make(Array.from({ length: count }, (_, i) => nameOf(i))));
  return (inputs: I, attrs: ColumnsAttrs): Columns => ops(attrs.widths.length)(inputs, attrs);
}

/** y [N, sum of the widths] → parts [N, width]. It has no gradient of its own: that is for the ops below. */
const columnsOf = byWidths<{ y: Tensor }>((outputs) =>
  defineOp({
    name: `SplitColumns${outputs.length}`,
    outputs,
    portable: ({ y }, { widths }) =>
      Object.fromEntries(split(y, [...widths], 1).map((part, i) => [nameOf(i), part])),
    kernels,
  }),
);

/** The other way about: parts [N, width] → y [N, sum of the widths]. */
const joinOp = defineOp<Columns, { y: Tensor }, ColumnsAttrs>({
  name: 'JoinColumns',
  outputs: ['y'],
  portable: (parts) => ({ y: concat(Object.values(parts) as Tensor2D[], 1) }),
  kernels: gpuKernel<Columns, ColumnsAttrs>(({ shapes, attrs: { widths }, device }) => {
    if (widths.length + 1 > device.limits.maxStorageBuffersPerShaderStage) return undefined;
    const [rows = 0] = shapes[nameOf(0)] as readonly number[];
    return {
      outputs: { y: { shape: [rows, widths.reduce((sum, width) => sum + width, 0)] } },
      dispatches: [moveColumns('join', rows, widths)],
    };
  }),
});

interface MapOps<I extends OpInputs> {
  readonly name: string;
  readonly integers?: readonly (keyof I & string)[];
  readonly forward: (inputs: I) => Tensor;
  readonly gradient: (inputs: I, dy: Tensor) => { [Name in keyof I]?: Tensor };
}

/** A map whose columns are taken apart, as one node of the tape: the whole is not kept for the gradient. */
export const splitMap = <I extends OpInputs>({ name, integers = [], forward, gradient }: MapOps<I>) =>
  byWidths<I>((outputs) =>
    defineOp<I, Columns, ColumnsAttrs>({
      name: `${name}${outputs.length}`,
      outputs,
      integers,
      portable: (inputs, attrs) => columnsOf({ y: forward(inputs) }, attrs),
      gradient: ({ inputs, grads, attrs }) =>
        gradient(
          inputs,
          joinOp(Object.fromEntries(outputs.map((output) => [output, grads[output] as Tensor])), attrs).y,
        ),
    }),
  );
