// What the suites of this package share.
import '@mnemix/testkit';
import { describe } from 'vitest';
import * as m from '../src/index.ts';

// Test files run side by side: threads would only wait for each other.
process.env.MNEMIX_THREADS ??= '1';

export const hostBackends = ['cpu', 'wasm'] as const;

/** Runs a suite on the CPU and the WASM backend. */
export function onHostBackends(name: string, suite: (backend: 'cpu' | 'wasm') => void): void {
  describe.each(hostBackends)(`${name} on %s`, (backend) => suite(backend));
}

export { describeOnWebgpu as onWebgpu } from '@mnemix/testkit';

export const host = (x: m.Tensor): number[] => Array.from(x.dataSync());
export const read = async (x: m.Tensor): Promise<number[]> => Array.from(await x.data());

/** Distinct numbers in [low, high], far enough from each other that a small step changes no order. */
export function spread(shape: number[], seed: number, low = -2, high = 2): m.Tensor {
  const size = shape.reduce((a, b) => a * b, 1);
  const order = m.Rng.of(seed).permutation(size);
  return m.tensor(
    Float32Array.from(order, (rank) => low + ((rank + 0.5) / size) * (high - low)),
    shape,
  );
}

/** Tensors that `f` leaves behind, its result freed. */
export function leaked(f: () => m.TensorTree | void): number {
  const before = m.memory().numTensors;
  const result = f();
  if (result !== undefined) m.disposeTree(result as m.TensorTree);
  return m.memory().numTensors - before;
}
