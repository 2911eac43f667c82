// Gathering and mixing of bucket rows by the SIMD kernels of assembly/route-mix.ts.
import { wasmKernel } from '../wasm/bridge.ts';
import type { GatherInputs, MixBackwardInputs, MixInputs, SumInputs } from './portable.ts';

export const gather = wasmKernel<GatherInputs, object>({
  outputs: ({ x, source }) => [{ shape: [source.shape[0] as number, x.shape[1] as number] }],
  run: ({ exports, inputs: { x, source }, outputs: [y = 0], shapes }) => {
    exports.routeGather(x, source, y, shapes.source[0] as number, shapes.x[1] as number);
  },
});

export const sumCopies = wasmKernel<SumInputs, object>({
  outputs: ({ o, position }) => [{ shape: [position.shape[0] as number, o.shape[1] as number] }],
  run: ({ exports, inputs: { o, position }, outputs: [y = 0], shapes }) => {
    const [rows = 0, chosen = 0] = shapes.position;
    exports.routeMix(o, 0, position, y, rows, chosen, 0, shapes.o[1] as number);
  },
});

export const mix = wasmKernel<MixInputs, object>({
  outputs: ({ o, position }) => [{ shape: [position.shape[0] as number, o.shape[1] as number] }],
  run: ({ exports, inputs: { o, weights, position }, outputs: [y = 0], shapes }) => {
    const [rows = 0, chosen = 0] = shapes.position;
    exports.routeMix(
      o,
      weights,
      position,
      y,
      rows,
      chosen,
      shapes.weights[1] as number,
      shapes.o[1] as number,
    );
  },
});

export const mixBackward = wasmKernel<MixBackwardInputs, object>({
  outputs: ({ o, weights }) => [{ shape: o.shape }, { shape: weights.shape }],
  run: ({
    exports,
    inputs: { o, weights, source, position, dy },
    outputs: [dO = 0, dWeights = 0],
    shapes,
  }) => {
    const [rows = 0, chosen = 0] = shapes.position;
    exports.routeMixBackward(
      o,
      weights,
      source,
      position,
      dy,
      dO,
      dWeights,
      rows,
      chosen,
      shapes.weights[1] as number,
      shapes.o[1] as number,
    );
  },
});
