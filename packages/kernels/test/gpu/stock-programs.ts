// Whether an op runs kernels of its own on WebGPU, or its portable form.
import { defineOp, scalar, tidy, type Tensor } from '@mnemix/tensor';

/** The part of tfjs's WebGPU backend that its own kernels go through, and ours do not. */
interface ProgramRunner {
  runWebGPUProgram(...args: unknown[]): unknown;
}

let runner: ProgramRunner | undefined;

/** Shows the backend to a test. */
const look = defineOp<Record<never, never>, { y: Tensor }, object>({
  name: 'TestLookAtBackend',
  outputs: ['y'],
  portable: () => ({ y: scalar(0) }),
  kernels: { webgpu: ({ backend }) => void (runner = backend as ProgramRunner) },
});

/** How many of tfjs's own programs `f` runs on the open WebGPU backend. Frees what `f` makes. */
export function countStockPrograms(f: () => unknown): number {
  tidy(() => void look({}, {}));
  const backend = runner as ProgramRunner;
  const original = backend.runWebGPUProgram;
  let count = 0;
  backend.runWebGPUProgram = (...args) => {
    count++;
    return original.apply(backend, args);
  };
  try {
    tidy(() => void f());
  } finally {
    backend.runWebGPUProgram = original;
  }
  return count;
}
