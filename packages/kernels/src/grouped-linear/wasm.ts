// The grouped linear map by the SIMD kernels of assembly/grouped-linear.ts.
import { wasmKernel } from '../wasm/bridge.ts';
import type { BackwardInputs, Inputs } from './portable.ts';

export const forward = wasmKernel<Inputs, object>({
  outputs: ({ x, weight }) => [{ shape: [x.shape[0] as number, weight.shape[1] as number] }],
  run: ({ exports, inputs, outputs: [y = 0], shapes, scratch }) => {
    const { x, weight, bias, starts, lengths } = inputs;
    const { groups, rows, width, outputs } = sizes(shapes);
    const room = scratch(exports.linearScratch(width, outputs));
    exports.groupedLinear(x, weight, bias, starts, lengths, y, room, groups, rows, width, outputs);
  },
});

export const backward = wasmKernel<BackwardInputs, object>({
  outputs: ({ x, weight }) => [
    { shape: x.shape },
    { shape: weight.shape },
    { shape: weight.shape.slice(0, 2) },
  ],
  run: ({ exports, inputs, outputs: [dx = 0, dWeight = 0, dBias = 0], shapes, scratch }) => {
    const { x, weight, starts, lengths, dy } = inputs;
    const { groups, rows, width, outputs } = sizes(shapes);
    const room = scratch(exports.linearBackwardScratch(width, outputs));
    exports.groupedLinearBackward(
      x,
      weight,
      starts,
      lengths,
      dy,
      dx,
      dWeight,
      dBias,
      room,
      groups,
      rows,
      width,
      outputs,
    );
  },
});

function sizes({ x, weight }: { readonly [Name in 'x' | 'weight']: readonly number[] }) {
  const [groups = 0, outputs = 0, width = 0] = weight;
  return { groups, rows: x[0] as number, width, outputs };
}
