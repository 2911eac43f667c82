// Where the time of synchronous backends goes, kernel by kernel.
import { engine } from '@tensorflow/tfjs-core';

export interface KernelTime {
  /** The kernel's name; our own ops are called `mnemix/…`. */
  readonly name: string;
  readonly calls: number;
  /** Time in the kernel itself, in milliseconds, without that of the kernels which it ran in turn. */
  readonly milliseconds: number;
}

/**
 * Runs `f` and measures every kernel in it, the slowest first. On WebGPU this is the time to encode, not to run.
 *
 * @returns kernel times, and the wall time of `f` in milliseconds
 */
export function profileKernels(f: () => void): { kernels: KernelTime[]; milliseconds: number } {
  const totals = new Map<string, { calls: number; milliseconds: number }>();
  const nested: number[] = [];
  const tfjs = engine();
  const runKernel = tfjs.runKernel.bind(tfjs);
  tfjs.runKernel = (name, inputs, attrs) => {
    const start = performance.now();
    nested.push(0);
    try {
      return runKernel(name, inputs, attrs);
    } finally {
      const whole = performance.now() - start;
      const inner = nested.pop() as number;
      if (nested.length > 0) nested[nested.length - 1] = (nested.at(-1) as number) + whole;
      const total = totals.get(name) ?? { calls: 0, milliseconds: 0 };
      totals.set(name, { calls: total.calls + 1, milliseconds: total.milliseconds + whole - inner });
    }
  };
  const start = performance.now();
  try {
    f();
  } finally {
    // Back to the method of the prototype.
    delete (tfjs as { runKernel?: unknown }).runKernel;
  }
  const milliseconds = performance.now() - start;
  const kernels = Array.from(totals, ([name, total]) => ({ name, ...total }));
  return { kernels: kernels.sort((a, b) => b.milliseconds - a.milliseconds), milliseconds };
}
