// Attention on matrix units: operands are packed as f16 first (pack.wgsl), then each stage is one module (mixed-tile.ts). For causal
// attention and windows; what is written is what the f32 stages would write, so that passes of both kinds may follow on each other.
// In float32 values are split into two numbers of f16 (split-tile.ts), and results are as exact as those of the f32 stages.
import { hasMatrixUnits, type Precision } from '@mnemix/tensor';
import { f32, i32, u32, type GpuDispatch, type GpuPlan } from '../gpu/kernel.ts';
import { FRAGMENT, matrixHeading, subgroupsHeading } from '../gpu/matrix-units.ts';
import { read, rowsOf, stage, written, writtenRowsOf, type Stage } from '../gpu/scan/stage.ts';
import * as mixedForwardWgsl from './mixed-forward-wgsl.ts';
import * as mixedKeyGradientWgsl from './mixed-key-gradient-wgsl.ts';
import * as mixedQueryGradientWgsl from './mixed-query-gradient-wgsl.ts';
import * as mixedTile from './mixed-tile.ts';
import type { Attrs } from './op.ts';
import packWgsl from './pack.wgsl';
import * as splitForwardWgsl from './split-forward-wgsl.ts';
import * as splitKeyGradientWgsl from './split-key-gradient-wgsl.ts';
import splitPackWgsl from './split-pack.wgsl';
import * as splitQueryGradientWgsl from './split-query-gradient-wgsl.ts';
import * as splitTile from './split-tile.ts';

/** Rows that a sequence is packed to a multiple of. */
const TILE = 64;
/** Columns of a head are packed to a multiple of two fragments, one for each column of subgroups. */
const COLUMNS = 32;
/** Columns of a head: the sums of more would not fit into registers. */
const MOST_COLUMNS = 128;
/** Tokens below which packing costs more than the matrix units save. */
const FEW_TOKENS = 64;
/** Storage buffers of keyGradientText. */
const MOST_BUFFERS = 9;

type StageName = 'forward' | 'query gradient' | 'key gradient';
const STAGE_NAMES: readonly StageName[] = ['forward', 'query gradient', 'key gradient'];

/** What a stage needs of a device, how many rows a workgroup has, and its text. */
interface Kernel {
  readonly own: number;
  readonly bytes: number;
  readonly invocations: number;
  readonly text: () => string;
}

const pair = ['sliceK', 'sliceV'];

function mixedKernel(name: StageName, fragments: number): Kernel {
  const [text, form] = {
    forward: [mixedForwardWgsl.forwardText, { fragments, own: 128, met: 32, slices: pair }],
    'query gradient': [
      mixedQueryGradientWgsl.queryGradientText,
      { fragments, own: 128, met: 32, slices: pair },
    ],
    // Twice as many sums: more rows would not fit into registers.
    'key gradient': [
      mixedKeyGradientWgsl.keyGradientText,
      { fragments, own: 64, met: 64, slices: ['slice'] },
    ],
  }[name] as [(form: mixedTile.MixedForm) => string, mixedTile.MixedForm];
  return {
    own: form.own,
    bytes: mixedTile.bytesOf(form),
    invocations: mixedTile.invocationsOf(form),
    text: () => text(form),
  };
}

/** Sums go to memory after 512 rows, before what matrix units truncate adds up. */
function splitKernel(name: StageName, fragments: number): Kernel {
  const [text, form] = {
    forward: [splitForwardWgsl.forwardText, { fragments, own: 96, met: 16, slices: pair, run: 32 }],
    'query gradient': [
      splitQueryGradientWgsl.queryGradientText,
      { fragments, own: 96, met: 16, slices: pair, run: 32 },
    ],
    'key gradient': [
      splitKeyGradientWgsl.keyGradientText,
      { fragments, own: 64, met: 32, slices: ['slice'], run: 16 },
    ],
  }[name] as [(form: splitTile.SplitForm) => string, splitTile.SplitForm];
  return {
    own: form.own,
    bytes: splitTile.bytesOf(form),
    invocations: splitTile.invocationsOf(form),
    text: () => text(form),
  };
}

/** What a plan is asked for. */
interface MixedCall {
  readonly attrs: Attrs;
  readonly precision: Precision;
}

const fragmentsOf = (attrs: Attrs): number => packedWidth(attrs) / FRAGMENT;
const kernelOf = (name: StageName, { attrs, precision }: MixedCall): Kernel =>
  (precision === 'mixed' ? mixedKernel : splitKernel)(name, fragmentsOf(attrs));

/** A pass over the rows of a group. */
export interface MixedPass {
  readonly queries: string;
  readonly keys: string;
  readonly values: string;
  readonly nearest: number;
  readonly farthest: number;
}

export function isForMixed(call: MixedCall, device: GPUDevice): boolean {
  const { attrs, precision } = call;
  const { features, limits } = device;
  const kernels = STAGE_NAMES.map((name) => kernelOf(name, call));
  return (
    attrs.maxLength >= FEW_TOKENS &&
    attrs.headWidth <= MOST_COLUMNS &&
    // A backend for mixed precision is opened only where there are some.
    (precision === 'mixed' || (hasMatrixUnits(device) && features.has('subgroups'))) &&
    limits.maxStorageBuffersPerShaderStage >= MOST_BUFFERS &&
    kernels.every(
      ({ bytes, invocations }) =>
        bytes <= limits.maxComputeWorkgroupStorageSize &&
        invocations <= limits.maxComputeInvocationsPerWorkgroup,
    )
  );
}

const packedWidth = ({ headWidth }: Attrs): number => COLUMNS * Math.ceil(headWidth / COLUMNS);
const packedName = (name: string): string => `packed ${name}`;

/** An operand that a plan needs as f16. */
export interface Packing {
  readonly tensor: string;
  readonly heads: number;
  /** In mixed precision it is scaled by the largest of `largest`, which leaves `gradientScale`. */
  readonly isGradient?: boolean;
}

/** @param partials length of `largest` */
export function packing(
  packings: readonly Packing[],
  { attrs, precision }: MixedCall,
  partials: number,
): { readonly dispatches: GpuDispatch[]; readonly scratch: NonNullable<GpuPlan['scratch']> } {
  const { rows, count, maxLength, headWidth } = attrs;
  const isMixed = precision === 'mixed';
  // A workgroup's rows may reach one tile behind the last.
  const tiles = 1 + Math.min(Math.floor(rows / TILE) + count, count * Math.ceil(maxLength / TILE));
  /** Of a tile of a head, in 4 bytes. */
  const size = isMixed
    ? (TILE * packedWidth(attrs)) / 2
    : 4 * splitTile.tileVectors({ fragments: fragmentsOf(attrs) });
  const made = packings.map(({ tensor, heads, isGradient = false }) => {
    const isScaled = isMixed && isGradient;
    const dispatch = stage({
      name: `Attention pack${isMixed ? '' : ' split'}${isScaled ? ' scaled' : ''}`,
      ...(!isMixed && { heading: subgroupsHeading }),
      parts: isMixed
        ? [
            isScaled ? scaleText(partials) : 'fn scaleOf(local: u32, group: vec3u) -> f32 { return 1; }',
            packWgsl,
          ]
        : [splitPackWgsl],
      bindings: {
        sequences: read('sequences', 'Sequence'),
        x: rowsOf(tensor, 'headWidth'),
        packed: written(packedName(tensor), 'vec4u'),
        ...(isScaled && { largest: read('largest'), gradientScale: written('gradientScale') }),
      },
      uniforms: [u32(heads), u32(headWidth), u32(packedWidth(attrs) / 8)],
      constants: {},
      workgroups: [Math.ceil(maxLength / TILE), heads, count],
      aligned: headWidth % 4 === 0,
    });
    const scratch = [
      [packedName(tensor), { shape: [tiles, heads * size] }] as const,
      ...(isScaled ? [['gradientScale', { shape: [1] }] as const] : []),
    ];
    return { dispatch, scratch };
  });
  return {
    dispatches: made.map(({ dispatch }) => dispatch),
    scratch: Object.fromEntries(made.flatMap(({ scratch }) => scratch)),
  };
}

/** The power of two that brings the largest value to 8 … 16: products with values of the same size are still far from 2^16. */
const scaleText = (partials: number): string => `
var<workgroup> most: array<f32, invocations>;

fn scaleOf(local: u32, group: vec3u) -> f32 {
  var found = 0f;
  for (var i = local; i < ${partials}; i += invocations) {
    found = max(found, largest[i]);
  }
  most[local] = found;
  workgroupBarrier();
  for (var half = invocations / 2; half > 0; half /= 2) {
    if (local < half) {
      most[local] = max(most[local], most[local + half]);
    }
    workgroupBarrier();
  }
  let exponent = i32(bitcast<u32>(most[0]) >> 23) - 127;
  let scale = bitcast<f32>(u32(127 + select(0, clamp(3 - exponent, -120, 120), most[0] > 0)) << 23);
  if (local == 0 && all(group == vec3u())) {
    gradientScale[0] = scale;
  }
  return scale;
}`;

function mixedStage(
  name: StageName,
  pass: MixedPass,
  call: MixedCall,
  bindings: Stage['bindings'],
  continues: boolean,
): GpuDispatch {
  const { attrs, precision } = call;
  const { own, text } = kernelOf(name, call);
  const { heads, kvHeads, headWidth, maxLength, count, scale } = attrs;
  return stage({
    name: `Attention ${precision === 'mixed' ? 'mixed' : 'split'} ${name} ${packedWidth(attrs)}`,
    heading: precision === 'mixed' ? matrixHeading : `${subgroupsHeading}\n${matrixHeading}`,
    parts: [text],
    bindings: { sequences: read('sequences', 'Sequence'), ...bindings },
    uniforms: [
      u32(heads),
      u32(kvHeads),
      u32(headWidth),
      i32(pass.nearest),
      i32(pass.farthest),
      u32(Number(continues)),
      f32(scale),
    ],
    constants: {},
    workgroups: [name === 'key gradient' ? kvHeads : heads, count, Math.ceil(maxLength / own)],
    aligned: headWidth % 4 === 0,
  });
}

/** Of a workgroup's own rows, which are loaded as fragments; split, they have units behind them. */
const own = (tensor: string, { precision }: MixedCall) =>
  read(packedName(tensor), precision === 'mixed' ? 'f16' : 'vec4u');
/** Of the rows that it meets, which are moved in vectors of eight. */
const met = (tensor: string) => read(packedName(tensor), 'vec4u');

export const mixedForward = (pass: MixedPass, call: MixedCall, continues: boolean): GpuDispatch =>
  mixedStage(
    'forward',
    pass,
    call,
    {
      packedQ: own(pass.queries, call),
      packedK: met(pass.keys),
      packedV: met(pass.values),
      o: writtenRowsOf('o', 'headWidth'),
      logSumExp: written('logSumExp'),
    },
    continues,
  );

const statsOf = ({ precision }: MixedCall): Stage['bindings'] => ({
  stats: read('stats', 'vec2f'),
  ...(precision === 'mixed' && { gradientScale: read('gradientScale') }),
});

export const mixedQueryGradient = (
  pass: MixedPass,
  call: MixedCall,
  continues: boolean,
  gradientOf: (name: string) => string,
): GpuDispatch =>
  mixedStage(
    'query gradient',
    pass,
    call,
    {
      packedQ: own(pass.queries, call),
      packedDO: own('dO', call),
      packedK: met(pass.keys),
      packedV: met(pass.values),
      ...statsOf(call),
      dQ: writtenRowsOf(gradientOf(pass.queries), 'headWidth'),
    },
    continues,
  );

export const mixedKeyGradient = (
  pass: MixedPass,
  call: MixedCall,
  continues: boolean,
  gradientOf: (name: string) => string,
): GpuDispatch =>
  mixedStage(
    'key gradient',
    pass,
    call,
    {
      packedK: own(pass.keys, call),
      packedV: own(pass.values, call),
      packedQ: met(pass.queries),
      packedDO: met('dO'),
      ...statsOf(call),
      dK: writtenRowsOf(gradientOf(pass.keys), 'headWidth'),
      dV: writtenRowsOf(gradientOf(pass.values), 'headWidth'),
    },
    continues,
  );
