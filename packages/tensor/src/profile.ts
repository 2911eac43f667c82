// Where the time of synchronous backends goes, kernel by kernel.
import { engine } from '@tensorflow/tfjs-core';

export interface KernelTime {
  /** The kernel's name; our own ops are called `mnemix/…`. */
  readonly name: string;
  readonly calls: number;
  /** Time in the kernel itself, in milliseconds, without that of the kernels which it ran in turn. */
  readonly milliseconds: number;
}

/** One call of a kernel, on the host's clock. */
export interface HostSpan {
  readonly name: string;
  /** Milliseconds since the recording began. */
  readonly start: number;
  readonly milliseconds: number;
  /** How many kernels had called one another to get here. */
  readonly depth: number;
}

/** Records every kernel that runs until `stop` is called. */
export function recordKernels(): {
  /** In the order in which they ended. */
  readonly host: () => readonly HostSpan[];
  /** The outermost kernel that is running. */
  readonly currentOp: () => string | undefined;
  readonly stop: () => void;
} {
  const spans: HostSpan[] = [];
  const running: string[] = [];
  const tfjs = engine();
  const runKernel = tfjs.runKernel.bind(tfjs);
  const began = performance.now();
  tfjs.runKernel = (name, inputs, attrs) => {
    const start = performance.now();
    const depth = running.push(name) - 1;
    try {
      return runKernel(name, inputs, attrs);
    } finally {
      running.pop();
      spans.push({ name, start: start - began, milliseconds: performance.now() - start, depth });
    }
  };
  return {
    host: () => spans,
    currentOp: () => running[0],
    // Back to the method of the prototype.
    stop: () => void delete (tfjs as { runKernel?: unknown }).runKernel,
  };
}

/**
 * Runs `f` and measures every kernel in it, the slowest first. On WebGPU this is the time to encode, not to run: see
 * `profileDevice`.
 *
 * @returns kernel times, and the wall time of `f` in milliseconds
 */
export function profileKernels(f: () => void): { kernels: KernelTime[]; milliseconds: number } {
  const { host, stop } = recordKernels();
  const start = performance.now();
  try {
    f();
  } finally {
    stop();
  }
  const milliseconds = performance.now() - start;
  const totals = new Map<string, { calls: number; milliseconds: number }>();
  // A kernel ends after those that it ran, which lie one deeper.
  const inner: number[] = [];
  for (const { name, milliseconds: whole, depth } of host()) {
    const own = whole - (inner[depth + 1] ?? 0);
    inner[depth + 1] = 0;
    inner[depth] = (inner[depth] ?? 0) + whole;
    const total = totals.get(name) ?? { calls: 0, milliseconds: 0 };
    totals.set(name, { calls: total.calls + 1, milliseconds: total.milliseconds + own });
  }
  const kernels = Array.from(totals, ([name, total]) => ({ name, ...total }));
  return { kernels: kernels.sort((a, b) => b.milliseconds - a.milliseconds), milliseconds };
}
