// The linear map by the SIMD kernels of assembly/linear.ts. They are 1.1 to 3 times as fast as tfjs's products on
// one thread, at all widths, and hold their own against two threads; but only tfjs's products use threads.
import type { BackendKernel, OpInputs, TensorInfo } from '@mnemix/tensor';
import { wasmKernel } from '../wasm/bridge.ts';
import type { BackwardInputs, Inputs } from './portable.ts';

/** tfjs does what has at least so many multiplications, 2 ms of ours, where it has more than a few threads. */
const FEW_THREADS = 2;
const MANY_PRODUCTS = 2 ** 25;

export const forward = unlessForThreads(
  wasmKernel<Inputs, object>({
    outputs: ({ x, weight }) => [{ shape: [x.shape[0] as number, weight.shape[0] as number] }],
    run: ({ exports, inputs: { x, weight, bias }, outputs: [y = 0], shapes, scratch }) => {
      const { rows, width, outputs } = sizes(shapes);
      const room = scratch(exports.linearScratch(width, outputs));
      exports.linear(x, weight, bias, y, room, rows, width, outputs);
    },
  }),
);

export const backward = unlessForThreads(
  wasmKernel<BackwardInputs, object>({
    outputs: ({ x, weight }) => [
      { shape: x.shape },
      { shape: weight.shape },
      { shape: [weight.shape[0] as number] },
    ],
    run: ({
      exports,
      inputs: { x, weight, dy },
      outputs: [dx = 0, dWeight = 0, dBias = 0],
      shapes,
      scratch,
    }) => {
      const { rows, width, outputs } = sizes(shapes);
      const room = scratch(exports.linearBackwardScratch(width, outputs));
      exports.linearBackward(x, weight, dy, dx, dWeight, dBias, room, rows, width, outputs);
    },
  }),
);

function sizes({ x, weight }: { readonly [Name in 'x' | 'weight']: readonly number[] }) {
  const [rows = 0, width = 0] = x;
  return { rows, width, outputs: weight[0] as number };
}

/** Leaves large products to the portable form, where the backend has more than a few threads for them. */
function unlessForThreads<I extends OpInputs & { x: unknown; weight: unknown }>({
  wasm,
}: {
  wasm?: BackendKernel<I, object>;
}): { wasm: BackendKernel<I, object> } {
  return {
    wasm: (call) => {
      const { x, weight } = call.inputs as unknown as { x: TensorInfo; weight: TensorInfo };
      const { rows, width, outputs } = sizes({ x: x.shape, weight: weight.shape });
      const threads = (call.backend as ThreadedBackend).wasm.tfjs.getThreadsCount();
      const isForThreads = threads > FEW_THREADS && rows * width * outputs >= MANY_PRODUCTS;
      return isForThreads ? undefined : wasm?.(call);
    },
  };
}

interface ThreadedBackend {
  readonly wasm: { readonly tfjs: { getThreadsCount(): number } };
}
