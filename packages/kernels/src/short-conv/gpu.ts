// Short convolutions along the same sequences on WebGPU, as many in a dispatch as it has buffers for: bindings and dispatches. One
// forward; backward one for what goes back to inputs and states and partial sums of the taps' gradient, and one that adds the sums up
// in a fixed order.
import { gpuKernel, type PlanCall } from '../gpu/bridge.ts';
import { u32, type GpuDispatch } from '../gpu/kernel.ts';
import { read, stage, written, type Stage } from '../gpu/scan/stage.ts';
import { spread } from '../gpu/spread.ts';
import { sumRowsApart } from '../gpu/sum-rows.ts';
import backwardWgsl from './backward.wgsl';
import forwardWgsl from './forward.wgsl';
import inputsWgsl from './inputs.wgsl';
import mainWgsl from './main.wgsl';
import { nameOf, type PartsAttrs, type Tensors } from './named.ts';
import { bindingsOf, partsWgsl, type Own, type Owns } from './parts.ts';
import tapsWgsl from './taps.wgsl';

/** Invocations of a workgroup. */
const INVOCATIONS = 64;
/** Rows of an item: few enough to fill a device, many enough for the taps to be worth loading. */
const SPAN = 8;
/** Partial sums of the taps' gradient: as many as fill a device, within what is quickly added up. */
const LEAST_SUMS = 512;
const MOST_SUMS = 1024;
const ENOUGH_INVOCATIONS = 2 ** 17;

interface Sizes {
  readonly rows: number;
  readonly sequences: number;
  /** Of each part. */
  readonly channels: readonly number[];
  readonly width: number;
  readonly activations: PartsAttrs['activations'];
  readonly hasBias: boolean;
  readonly hasInitialState: boolean;
  /** Something depends on the states behind the sequences. */
  readonly isContinued: boolean;
}

/** Parts that go together. */
interface Group {
  /** Among the groups. */
  readonly number: number;
  readonly parts: readonly number[];
}

interface Convolution {
  readonly name: string;
  readonly text: readonly string[];
  readonly owns: (sizes: Sizes, group: Group) => Owns;
  readonly shared: (group: Group) => Stage['bindings'];
}

const places = { starts: read('starts', 'i32'), rowSequence: read('rowSequence', 'i32') };

const own = (layout: Own['layout'], name: string, { parts }: Group, isWritten = false): Own => ({
  layout,
  isWritten,
  tensors: parts.map((i) => nameOf(name, i)),
});

const ownIf = (condition: boolean, found: Own): Own => (condition ? found : { ...found, tensors: [] });

/** What the taps read. */
const inputs = ({ hasBias, hasInitialState }: Sizes, group: Group): Owns => ({
  x: own('rows', 'x', group),
  weight: own('windows', 'weight', group),
  bias: ownIf(hasBias, own('numbers', 'bias', group)),
  initialState: ownIf(hasInitialState, own('windows', 'initialState', group)),
});

const convolve: Convolution = {
  name: 'ShortConv forward',
  text: [inputsWgsl, forwardWgsl],
  owns: (sizes, group) => ({
    ...inputs(sizes, group),
    y: own('rows', 'y', group, true),
    state: own('windows', 'state', group, true),
  }),
  shared: () => ({ ...places, lengths: read('lengths', 'i32') }),
};

const pull: Convolution = {
  name: 'ShortConv backward',
  text: [inputsWgsl, backwardWgsl],
  owns: (sizes, group) => ({
    ...inputs(sizes, group),
    dy: own('rows', 'dy', group),
    dState: ownIf(sizes.isContinued, own('windows', 'dState', group)),
    dx: own('rows', 'dx', group, true),
    dInitialState: ownIf(sizes.hasInitialState, own('windows', 'dInitialState', group, true)),
  }),
  shared: ({ number }) => ({
    ...places,
    lengths: read('lengths', 'i32'),
    sums: written(nameOf('sums', number)),
  }),
};

export const forward = gpuKernel<Tensors, PartsAttrs>((call) => {
  const sizes = sizesOf(call);
  const groups = groupsOf(sizes, convolve, call.device);
  if (typeof groups === 'string') return groups;
  return {
    outputs: outputsOf(sizes, (i) => ({ y: rowsShape(sizes, i), state: stateShape(sizes, i) })),
    dispatches: groups.map((group) => dispatch(convolve, sizes, group, { span: SPAN, states: true })),
  };
});

export const backward = gpuKernel<Tensors, PartsAttrs>((call) => {
  const sizes = sizesOf(call);
  const { rows, channels, width, hasInitialState } = sizes;
  const groups = groupsOf(sizes, pull, call.device);
  if (typeof groups === 'string') return groups;
  const made = groups.map((group) => {
    const { number, parts } = group;
    const all = channelsOf(sizes, group);
    const most = ENOUGH_INVOCATIONS / Math.ceil(total(all) / 4);
    const span = Math.max(
      SPAN,
      Math.ceil(rows / Math.min(MOST_SUMS, Math.max(LEAST_SUMS, Math.floor(most)))),
    );
    const items = Math.ceil(rows / span);
    const sums = parts.flatMap((i) => {
      const own = channels[i] as number;
      return [[nameOf('dWeight', i), own * width] as const, [nameOf('dBias', i), own] as const];
    });
    return {
      scratch: { [nameOf('sums', number)]: { shape: [items, total(all) * (width + 1)] } },
      dispatches: [
        dispatch(pull, sizes, group, { span, states: hasInitialState }),
        sumRowsApart(nameOf('sums', number), sums, items),
      ],
    };
  });
  return {
    outputs: outputsOf(sizes, (i) => ({
      dx: rowsShape(sizes, i),
      dWeight: [channels[i] as number, 1, width],
      dBias: [channels[i] as number],
      dInitialState: hasInitialState ? stateShape(sizes, i) : [0],
    })),
    scratch: Object.assign({}, ...made.map(({ scratch }) => scratch)),
    dispatches: made.flatMap(({ dispatches }) => dispatches),
  };
});

function sizesOf({ shapes, attrs: { activations } }: PlanCall<Tensors, PartsAttrs>): Sizes {
  return {
    rows: shapes['x0']?.[0] as number,
    sequences: shapes['lengths']?.[0] as number,
    channels: activations.map((_, i) => shapes[nameOf('x', i)]?.[1] as number),
    width: shapes['weight0']?.[2] as number,
    activations,
    hasBias: shapes['bias0'] !== undefined,
    hasInitialState: shapes['initialState0'] !== undefined,
    isContinued: shapes['dState0'] !== undefined,
  };
}

const total = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
const channelsOf = ({ channels }: Sizes, { parts }: Group): number[] =>
  parts.map((i) => channels[i] as number);
const rowsShape = ({ rows, channels }: Sizes, i: number): number[] => [rows, channels[i] as number];
const stateShape = ({ sequences, channels, width }: Sizes, i: number): number[] => [
  sequences,
  channels[i] as number,
  width,
];

const outputsOf = ({ channels }: Sizes, shapes: (i: number) => Readonly<Record<string, readonly number[]>>) =>
  Object.fromEntries(
    channels.flatMap((_, i) =>
      Object.entries(shapes(i)).map(([name, shape]) => [nameOf(name, i), { shape }]),
    ),
  );

/** Or why there are none: the device binds too little even for one part alone. */
function groupsOf(sizes: Sizes, { owns, shared }: Convolution, { limits }: GPUDevice): Group[] | string {
  const { channels, width } = sizes;
  const alone = { number: 0, parts: [0] };
  const own = Object.values(owns(sizes, alone)).filter(({ tensors }) => tensors.length > 0).length;
  // Partial sums are those of all parts together.
  const largestSums = 4 * Math.max(...channels) * MOST_SUMS * (width + 1);
  const most = Math.min(
    Math.floor(limits.maxStorageBufferBindingSize / largestSums),
    Math.floor((limits.maxStorageBuffersPerShaderStage - Object.keys(shared(alone)).length) / own),
  );
  if (most < 1) return 'the device binds too few tensors, or too small ones, for one convolution';
  return Array.from({ length: Math.ceil(channels.length / most) }, (_, number) => ({
    number,
    parts: channels.map((_, i) => i).slice(number * most, (number + 1) * most),
  }));
}

/** @param states items for the sequences' states follow those for `span` rows each */
function dispatch(
  { name, text, owns, shared }: Convolution,
  sizes: Sizes,
  group: Group,
  { span, states }: { readonly span: number; readonly states: boolean },
): GpuDispatch {
  const { rows, sequences, width, activations } = sizes;
  const { parts } = group;
  const channels = channelsOf(sizes, group);
  const widest = Math.max(...channels);
  const quads = Math.ceil(widest / 4);
  const lanes = Math.min(INVOCATIONS, 2 ** Math.ceil(Math.log2(quads)));
  const slots = INVOCATIONS / lanes;
  const tiles = Math.ceil(quads / lanes);
  const items = Math.ceil(rows / span) + (states ? sequences : 0);
  const own = owns(sizes, group);
  const absent = Object.keys(own).filter((each) => own[each]?.tensors.length === 0);
  const silu = parts.map((i, at) => (activations[i] === 'silu' ? 2 ** at : 0));
  return stage({
    name: `${name} of ${parts.length}${absent.length > 0 ? ` without ${absent.join(', ')}` : ''}`,
    parts: [tapsWgsl, () => partsWgsl(parts.length, own), ...text, mainWgsl],
    bindings: { ...bindingsOf(own), ...shared(group) },
    uniforms: [rows, sequences, span, tiles, widest, total(channels), ...channels].map(u32),
    constants: { width, silu: total(silu), lanes, slots },
    workgroups: [...spread(Math.ceil(items / slots)), tiles * parts.length],
    aligned: channels.every((width) => width % 4 === 0),
  });
}
