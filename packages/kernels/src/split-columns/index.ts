// The columns of a matrix, in tensors of their own, and back; and maps whose columns are taken apart.
import {
  concat,
  defineOp,
  split,
  type Op,
  type OpDefinition,
  type OpInputs,
  type Tensor,
  type Tensor2D,
} from '@mnemix/tensor';
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
function byWidths<I extends OpInputs, Passed extends keyof I & string = never>(
  make: (outputs: string[]) => Op<I, Columns, ColumnsAttrs, Passed>,
): Op<I, Columns, ColumnsAttrs, Passed> {
  const ops = byCount((count) => make(Array.from({ length: count }, (_, i) => nameOf(i))));
  return (inputs, attrs) => ops(attrs.widths.length)(inputs, attrs);
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

const gradientOf = (i: number): string => `dy${i}`;

/** The gradients of a map's columns, dy0, dy1, …; and that of x, where the map passes it on and anything used it. */
export type Slopes = Columns & { readonly dPassed?: Tensor | undefined };

interface MapOps<I extends OpInputs, Passed extends keyof I & 'x'> {
  readonly name: string;
  readonly integers?: readonly (keyof I & string)[];
  /** The whole [N, sum of the widths]. */
  readonly forward: (inputs: I) => Tensor;
  readonly gradient: (inputs: I & Slopes, attrs: ColumnsAttrs) => { [Name in keyof I]?: Tensor };
  /** See `defineOp`. */
  readonly passes?: readonly Passed[];
  /** Those that write the columns where they belong. */
  readonly kernels: NonNullable<OpDefinition<I, Columns, ColumnsAttrs>['kernels']>;
}

/** A map whose columns are taken apart, as one node of the tape: the whole is not kept for the gradient. */
export const splitMap = <I extends OpInputs, Passed extends keyof I & 'x' = never>({
  name,
  integers = [],
  passes = [],
  forward,
  gradient,
  kernels: ofMap,
}: MapOps<I, Passed>) =>
  byWidths<I, Passed>((outputs) =>
    defineOp<I, Columns, ColumnsAttrs, Passed>({
      name: `${name}${outputs.length}`,
      outputs,
      integers,
      passes,
      portable: (inputs, attrs) => columnsOf({ y: forward(inputs) }, attrs),
      kernels: ofMap,
      gradient: ({ inputs, grads, used, attrs }) => {
        const dys = outputs.map((output, i) => [gradientOf(i), grads[output] as Tensor]);
        const [passed] = passes.filter((input) => used.has(input));
        return gradient(
          { ...inputs, ...Object.fromEntries(dys), dPassed: passed && (grads[passed] as Tensor) },
          attrs,
        );
      },
    }),
  );

/** The inputs of a map's gradient with the gradients of its columns side by side, as dy. */
export function withWhole<I extends OpInputs>(
  { dPassed: _, ...inputs }: I & Slopes,
  attrs: ColumnsAttrs,
): I & { readonly dy: Tensor } {
  const rest: Record<string, Tensor | undefined> = { ...inputs };
  const columns = attrs.widths.map((_, i) => {
    const name = gradientOf(i);
    delete rest[name];
    return [nameOf(i), inputs[name] as Tensor];
  });
  return { ...(rest as I), dy: joinOp(Object.fromEntries(columns), attrs).y };
}
