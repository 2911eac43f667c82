// What a benchmark of a kernel consists of: an op, a shape, what it must cost, and how its result is checked.
import { leaves, disposeTree, type Precision, type Tensor } from '@mnemix/tensor';

export type Inputs = Readonly<Record<string, Tensor>>;

/** Of one run. */
export interface Cost {
  /** Floating-point operations of the algorithm, a multiply-add being two. */
  readonly flops: number;
  /** Bytes that have to be read and written at least: inputs and outputs, once each. */
  readonly bytes: number;
}

/** A case that is ready to run. */
export interface Prepared {
  /** What the result is differentiated by. */
  readonly inputs: Inputs;
  readonly run: (inputs: Inputs) => Tensor;
  /** The same a token at a time, in stock ops, as one would write it down; on `1 / scale` of the tokens where all would take too long. */
  readonly naive?: {
    readonly inputs: Inputs;
    readonly run: (inputs: Inputs) => Tensor;
    readonly scale: number;
  };
  readonly cost: { readonly forward: Cost; readonly training?: Cost };
  /** Relative RMS error of a result against float64, over some of its entries. */
  readonly errorOf: (result: ArrayLike<number>) => number;
  /** The largest of the gradients' relative RMS errors against float64; without it gradients are held against the portable form's. */
  readonly gradientErrorOf?: (
    gradients: Readonly<Record<string, ArrayLike<number>>>,
    upstream: ArrayLike<number>,
  ) => number;
  readonly dispose: () => void;
}

export interface KernelCase {
  /** The family, as `--only` names it. */
  readonly family: string;
  /** Names the row together with the shape; targets are found by it. */
  readonly op: string;
  readonly shape: string;
  /** Those in which its kernels differ. */
  readonly precisions: readonly Precision[];
  /** At this shape the targets hold. */
  readonly isMain?: boolean;
  /** Ours alone: there is nothing to learn from the other forms here. */
  readonly isAlone?: boolean;
  readonly prepare: () => Prepared;
}

/** What all cases of a family are made for. */
export interface CaseOptions {
  /** Shapes for a software adapter. */
  readonly quick: boolean;
}

/** Frees inputs of both forms. */
export const freeInputs =
  (...trees: readonly (Inputs | undefined)[]): (() => void) =>
  () => {
    for (const tree of trees) if (tree) disposeTree(tree);
  };

const FLOAT_BYTES = 4;

/** Bytes of tensors, or of so many floats. */
export const bytesOf = (...parts: readonly (Tensor | Inputs | number)[]): number =>
  parts.reduce<number>(
    (sum, part) =>
      sum +
      FLOAT_BYTES *
        (typeof part === 'number' ? part : leaves(part as Inputs).reduce((all, { size }) => all + size, 0)),
    0,
  );

/**
 * The cost of an op without products: it reads its inputs and writes `written` floats; backward it reads them and the gradient of
 * what it wrote, and writes a gradient for each input.
 */
export function streamingCost(
  inputs: Inputs,
  written: number,
  flops: number,
): { readonly forward: Cost; readonly training: Cost } {
  const forward = { flops, bytes: bytesOf(inputs, written) };
  return {
    forward,
    training: { flops: 3 * flops, bytes: forward.bytes + bytesOf(inputs, written, inputs) },
  };
}
