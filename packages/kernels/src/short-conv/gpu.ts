// The short convolution on WebGPU: bindings and dispatches. One forward; backward one for the slopes and the parts of the taps'
// gradient, one for what goes back to inputs and states, and one that adds the parts up in a fixed order.
import { gpuKernel } from '../gpu/bridge.ts';
import { u32, type GpuDispatch } from '../gpu/kernel.ts';
import { read, rowsOf, stage, written, writtenRowsOf } from '../gpu/scan/stage.ts';
import { spread } from '../gpu/spread.ts';
import { sumRowsApart } from '../gpu/sum-rows-apart.ts';
import backwardWgsl from './backward.wgsl';
import forwardWgsl from './forward.wgsl';
import inputsWgsl from './inputs.wgsl';
import type { Attrs, BackwardInputs, Inputs } from './portable.ts';
import slopesWgsl from './slopes.wgsl';
import tapsWgsl from './taps.wgsl';

const INVOCATIONS = 64;
/** Of an invocation, forward: few enough to fill a device, many enough for the taps to be worth loading. */
const SPAN = 8;
/** Parts of the taps' gradient: as many as fill a device, within what is quickly added up. */
const LEAST_PARTS = 512;
const MOST_PARTS = 1024;
const ENOUGH_INVOCATIONS = 2 ** 17;
/** Storage buffers of the stage that has the most. */
const MOST_BUFFERS = 9;

type Shapes = { readonly [Name in keyof Inputs]: readonly number[] };

export const forward = gpuKernel<Inputs, Attrs>(({ shapes, attrs, device }) => {
  const sizes = sizesOf(shapes, device);
  if (!sizes) return undefined;
  return {
    outputs: { y: { shape: shapes.x }, state: { shape: sizes.stateShape } },
    dispatches: [
      convolution(sizes, attrs, {
        name: 'ShortConv forward',
        parts: [tapsWgsl, inputsWgsl, forwardWgsl],
        bindings: {
          ...inputBindings(shapes),
          lengths: read('lengths', 'i32'),
          y: writtenRowsOf('y', 'channels'),
          state: written('state'),
        },
        span: SPAN,
        states: true,
      }),
    ],
  };
});

export const backward = gpuKernel<BackwardInputs, Attrs>(({ shapes, attrs, device }) => {
  const sizes = sizesOf(shapes, device);
  if (!sizes) return undefined;
  const { rows, channels, width, stateShape } = sizes;
  const most = ENOUGH_INVOCATIONS / Math.ceil(channels / 4);
  const parts = Math.floor(Math.min(MOST_PARTS, Math.max(LEAST_PARTS, most)));
  const span = Math.max(SPAN, Math.ceil(rows / parts));
  const items = Math.ceil(rows / span);
  return {
    outputs: {
      dx: { shape: shapes.x },
      dWeight: { shape: shapes.weight },
      dBias: { shape: [channels] },
      dInitialState: { shape: stateShape },
    },
    scratch: { du: { shape: shapes.x }, partials: { shape: [items, channels * (width + 1)] } },
    dispatches: [
      convolution(sizes, attrs, {
        name: 'ShortConv slopes',
        parts: [tapsWgsl, inputsWgsl, slopesWgsl],
        bindings: {
          ...inputBindings(shapes),
          dy: rowsOf('dy', 'channels'),
          du: writtenRowsOf('du', 'channels'),
          partials: written('partials'),
        },
        span,
        states: false,
      }),
      convolution(sizes, attrs, {
        name: 'ShortConv backward',
        parts: [tapsWgsl, backwardWgsl],
        bindings: {
          weight: read('weight'),
          starts: read('starts', 'i32'),
          lengths: read('lengths', 'i32'),
          rowSequence: read('rowSequence', 'i32'),
          du: rowsOf('du', 'channels'),
          dState: read('dState'),
          dx: writtenRowsOf('dx', 'channels'),
          dInitialState: written('dInitialState'),
        },
        span: SPAN,
        states: true,
      }),
      sumRowsApart('partials', ['dWeight', channels * width], ['dBias', channels], items),
    ],
  };
});

interface Sizes {
  readonly rows: number;
  readonly sequences: number;
  readonly channels: number;
  readonly width: number;
  readonly stateShape: readonly number[];
  readonly hasBias: boolean;
  readonly hasInitialState: boolean;
}

/** None where the device binds too little. */
function sizesOf(
  { x, weight, bias, initialState, lengths }: Shapes,
  { limits }: GPUDevice,
): Sizes | undefined {
  const [channels = 0, , width = 0] = weight;
  const [rows = 0] = x;
  const [sequences = 0] = lengths;
  const largest = 4 * channels * Math.max(rows, sequences * width, MOST_PARTS * (width + 1));
  if (largest > limits.maxStorageBufferBindingSize) return undefined;
  if (MOST_BUFFERS > limits.maxStorageBuffersPerShaderStage) return undefined;
  const has = { hasBias: bias !== undefined, hasInitialState: initialState !== undefined };
  return { rows, sequences, channels, width, stateShape: [sequences, channels, width], ...has };
}

/** What the taps read; an input that is not there is never looked at, but something must be bound. */
const inputBindings = ({ bias, initialState }: Shapes) => ({
  x: rowsOf('x', 'channels'),
  weight: read('weight'),
  bias: read(bias ? 'bias' : 'weight'),
  initialState: read(initialState ? 'initialState' : 'weight'),
  starts: read('starts', 'i32'),
  rowSequence: read('rowSequence', 'i32'),
});

interface Convolution extends Pick<Parameters<typeof stage>[0], 'name' | 'parts' | 'bindings'> {
  /** Rows of an item. */
  readonly span: number;
  /** Items for the sequences' states follow those for the rows. */
  readonly states: boolean;
}

function convolution(
  { rows, sequences, channels, width, hasBias, hasInitialState }: Sizes,
  { activation }: Attrs,
  { span, states, ...parts }: Convolution,
): GpuDispatch {
  const quads = Math.ceil(channels / 4);
  const lanes = Math.min(INVOCATIONS, 2 ** Math.ceil(Math.log2(quads)));
  const slots = INVOCATIONS / lanes;
  const items = Math.ceil(rows / span) + (states ? sequences : 0);
  return stage({
    ...parts,
    uniforms: [rows, channels, sequences, span].map(u32),
    constants: {
      width,
      hasBias: Number(hasBias),
      hasInitialState: Number(hasInitialState),
      isSilu: Number(activation === 'silu'),
      lanes,
      slots,
    },
    workgroups: [...spread(Math.ceil(items / slots)), Math.ceil(quads / lanes)],
    aligned: channels % 4 === 0,
  });
}
