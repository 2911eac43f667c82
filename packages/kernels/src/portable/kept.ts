// What a scan's forward pass in chunks keeps for its gradient, which would otherwise make it again: memory for time. Only kernels on
// WebGPU do (gpu/scan/kept.ts says what); to all other forms these outputs are absent.
import { disposeTree, type Tensor } from '@mnemix/tensor';

/** Of all scans: optional outputs of their ops, and inputs of their gradients, by these names. */
export const keptNames = ['chunks', 'sequenceChunks', 'sums', 'scores', 'states'] as const;
/** Those that are integers. */
export const keptIntegers = ['chunks', 'sequenceChunks'] as const;

export type Kept<Name extends string = (typeof keptNames)[number]> = { [Key in Name]?: Tensor | undefined };

/** What there is of it, for the gradient: what a kernel has nothing for is [0]. */
export const keptOf = <K extends Kept<string>>(kept: K): K =>
  Object.fromEntries(Object.entries(kept).filter(([, tensor]) => tensor && tensor.size > 0)) as K;

interface Results {
  readonly o: Tensor;
  readonly state: Tensor;
}

/** What callers get of a scan. Of the rest the tape has copies; or there is no tape, and nothing may stay. */
export function withoutKept({ o, state, ...kept }: Results): Results {
  disposeTree(kept as Record<string, Tensor>);
  return { o, state };
}
