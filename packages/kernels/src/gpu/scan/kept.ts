// What the plans of a scan keep for its gradient (portable/kept.ts): what takes products of matrices to make, and what is no larger than
// the keys. The running sums of a gate for each channel are twice as large, and the rows that are decayed by them larger still: they
// are made again.
import { deviceBytes, largestTensor } from '@mnemix/tensor';
import type { GpuDispatch, GpuPlan } from '../kernel.ts';
import { segmentTable } from './segments.ts';
import type { ScanSizes } from './stages.ts';

interface Keeping {
  /** Outputs of the op, in its order. */
  readonly names: readonly string[];
  /** Those that the gradient makes again. */
  readonly again: readonly string[];
  readonly device: GPUDevice;
}

/** A forward plan that leaves what is to be kept of its scratch as outputs. */
export function keeping(
  { outputs, scratch = {}, dispatches }: GpuPlan,
  { names, again, device }: Keeping,
): GpuPlan {
  const most = largestTensor(device);
  // What is too large for the device stays scratch: then the portable form runs.
  const kept = new Map(
    Object.entries(scratch).filter(
      ([name, { shape }]) => names.includes(name) && !again.includes(name) && deviceBytes(shape) <= most,
    ),
  );
  if (kept.size === 0) return { outputs, scratch, dispatches };
  const outputOf = (name: string) => {
    const output = kept.get(name);
    return output ? [name, output] : [`no ${name}`, { shape: [0] }];
  };
  return {
    outputs: { ...outputs, ...Object.fromEntries(names.map(outputOf)) },
    scratch: Object.fromEntries(Object.entries(scratch).filter(([name]) => !kept.has(name))),
    dispatches,
  };
}

/** What a gradient begins with: all that makes what may have been kept, or what is left of it. */
export const begun = (
  sizes: ScanSizes,
  shapes: { readonly chunks?: readonly number[] | undefined },
  { all, ofVectorGate }: { all: () => GpuDispatch[]; ofVectorGate: () => GpuDispatch[] },
): GpuDispatch[] => {
  if (shapes.chunks === undefined) return all();
  // Few sequences are cut into segments, and it takes little to do that again.
  return [...segmentTable(sizes), ...(sizes.gate === 'vector' ? ofVectorGate() : [])];
};

/** A gradient's plan without the scratch that has come in, or that served to make that. */
export function fromKept({ outputs, scratch = {}, dispatches }: GpuPlan, shapes: object): GpuPlan {
  const bound = new Set(dispatches.flatMap(({ buffers }) => buffers));
  const needed = Object.entries(scratch).filter(([name]) => bound.has(name) && !(name in shapes));
  return { outputs, scratch: Object.fromEntries(needed), dispatches };
}
