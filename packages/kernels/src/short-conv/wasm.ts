// The short convolution by the SIMD kernels of assembly/short-conv.ts.
import { wasmKernel } from '../wasm/bridge.ts';
import type { Attrs, BackwardInputs, Inputs } from './portable.ts';

export const forward = wasmKernel<Inputs, Attrs>({
  outputs: ({ x, weight, lengths }) => [
    { shape: x.shape },
    { shape: stateShape(weight.shape, lengths.shape) },
  ],
  run: ({ exports, inputs, outputs: [y = 0, state = 0], shapes, attrs, scratch }) => {
    const { x, weight, bias, initialState, starts, lengths, rowSequence } = inputs;
    const { rows, sequences, channels, width } = sizes(shapes);
    const window = () => scratch(4 * width * channels);
    exports.shortConv(
      x,
      weight,
      bias,
      initialState,
      starts,
      lengths,
      rowSequence,
      y,
      state,
      window(),
      window(),
      scratch(4 * width),
      rows,
      sequences,
      channels,
      width,
      Number(attrs.activation === 'silu'),
    );
  },
});

export const backward = wasmKernel<BackwardInputs, Attrs>({
  outputs: ({ x, weight, lengths }) => [
    { shape: x.shape },
    { shape: weight.shape },
    { shape: [weight.shape[0] as number] },
    { shape: stateShape(weight.shape, lengths.shape) },
  ],
  run: ({
    exports,
    inputs,
    outputs: [dx = 0, dWeight = 0, dBias = 0, dInitialState = 0],
    shapes,
    attrs,
    scratch,
  }) => {
    const { x, weight, bias, initialState, starts, lengths, rowSequence, dy, dState } = inputs;
    const { rows, sequences, channels, width } = sizes(shapes);
    const window = () => scratch(4 * width * channels);
    const taps = () => scratch(4 * width);
    exports.shortConvBackward(
      x,
      weight,
      bias,
      initialState,
      starts,
      lengths,
      rowSequence,
      dy,
      dState,
      dx,
      dWeight,
      dBias,
      dInitialState,
      window(),
      window(),
      window(),
      window(),
      taps(),
      taps(),
      scratch(4 * channels),
      rows,
      sequences,
      channels,
      width,
      Number(attrs.activation === 'silu'),
    );
  },
});

function stateShape(weight: readonly number[], lengths: readonly number[]): number[] {
  return [lengths[0] as number, weight[0] as number, weight[2] as number];
}

function sizes({ x, weight, lengths }: { readonly [Name in 'x' | 'weight' | 'lengths']: readonly number[] }) {
  const [channels = 0, , width = 0] = weight;
  return { rows: x[0] as number, sequences: lengths[0] as number, channels, width };
}
