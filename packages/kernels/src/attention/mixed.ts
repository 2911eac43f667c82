// Attention on matrix units: operands are packed as f16 first (pack.wgsl), then each stage is one module (mixed-tile.ts). For causal
// attention and windows; what is written is what the f32 stages would write, so that passes of both kinds may follow on each other.
import { f32, i32, u32, type GpuDispatch, type GpuPlan } from '../gpu/kernel.ts';
import { FRAGMENT, matrixHeading } from '../gpu/matrix-units.ts';
import { read, rowsOf, stage, written, writtenRowsOf, type Stage } from '../gpu/scan/stage.ts';
import { forwardText } from './mixed-forward-wgsl.ts';
import { keyGradientText } from './mixed-key-gradient-wgsl.ts';
import { queryGradientText } from './mixed-query-gradient-wgsl.ts';
import { bytesOf, invocationsOf, type MixedForm } from './mixed-tile.ts';
import type { Attrs } from './op.ts';
import packWgsl from './pack.wgsl';

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

const STAGES = {
  forward: { text: forwardText, own: 128, met: 32, slices: ['sliceK', 'sliceV'] },
  'query gradient': { text: queryGradientText, own: 128, met: 32, slices: ['sliceK', 'sliceV'] },
  // Twice as many sums: more rows would not fit into registers.
  'key gradient': { text: keyGradientText, own: 64, met: 64, slices: ['slice'] },
} as const;
type StageName = keyof typeof STAGES;

const formOf = (name: StageName, attrs: Attrs): MixedForm => {
  const { own, met, slices } = STAGES[name];
  return { fragments: packedWidth(attrs) / FRAGMENT, own, met, slices };
};

/** A pass over the rows of a group. */
export interface MixedPass {
  readonly queries: string;
  readonly keys: string;
  readonly values: string;
  readonly nearest: number;
  readonly farthest: number;
}

export function isForMixed(attrs: Attrs, { limits }: GPUDevice): boolean {
  const forms = (Object.keys(STAGES) as StageName[]).map((name) => formOf(name, attrs));
  return (
    attrs.maxLength >= FEW_TOKENS &&
    attrs.headWidth <= MOST_COLUMNS &&
    limits.maxStorageBuffersPerShaderStage >= MOST_BUFFERS &&
    forms.every(
      (form) =>
        bytesOf(form) <= limits.maxComputeWorkgroupStorageSize &&
        invocationsOf(form) <= limits.maxComputeInvocationsPerWorkgroup,
    )
  );
}

const packedWidth = ({ headWidth }: Attrs): number => COLUMNS * Math.ceil(headWidth / COLUMNS);
const packedName = (name: string): string => `packed ${name}`;

/** An operand that a plan needs as f16. */
export interface Packing {
  readonly tensor: string;
  readonly heads: number;
  /** By the largest of `largest`, which leaves `gradientScale`. */
  readonly isScaled?: boolean;
}

/** @param partials length of `largest` */
export function packing(
  packings: readonly Packing[],
  attrs: Attrs,
  partials: number,
): { readonly dispatches: GpuDispatch[]; readonly scratch: NonNullable<GpuPlan['scratch']> } {
  const { rows, count, maxLength, headWidth } = attrs;
  // A workgroup's rows may reach one tile behind the last.
  const tiles = 1 + Math.min(Math.floor(rows / TILE) + count, count * Math.ceil(maxLength / TILE));
  const scratch = packings.flatMap(({ tensor, heads, isScaled }) => [
    [packedName(tensor), { shape: [tiles * TILE, (heads * packedWidth(attrs)) / 2] }] as const,
    ...(isScaled ? [['gradientScale', { shape: [1] }] as const] : []),
  ]);
  const dispatches = packings.map(({ tensor, heads, isScaled = false }) =>
    stage({
      name: isScaled ? 'Attention pack scaled' : 'Attention pack',
      parts: [
        isScaled ? scaleText(partials) : 'fn scaleOf(local: u32, group: vec3u) -> f32 { return 1; }',
        packWgsl,
      ],
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
    }),
  );
  return { dispatches, scratch: Object.fromEntries(scratch) };
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
  attrs: Attrs,
  bindings: Stage['bindings'],
  continues: boolean,
): GpuDispatch {
  const { heads, kvHeads, headWidth, maxLength, count, scale } = attrs;
  return stage({
    name: `Attention mixed ${name} ${packedWidth(attrs)}`,
    heading: matrixHeading,
    parts: [() => STAGES[name].text(formOf(name, attrs))],
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
    workgroups: [name === 'key gradient' ? kvHeads : heads, count, Math.ceil(maxLength / STAGES[name].own)],
    aligned: headWidth % 4 === 0,
  });
}

/** Of a workgroup's own rows, which are loaded as fragments. */
const own = (tensor: string) => read(packedName(tensor), 'f16');
/** Of the rows that it meets, which are moved in vectors of eight. */
const met = (tensor: string) => read(packedName(tensor), 'vec4u');

export const mixedForward = (pass: MixedPass, attrs: Attrs, continues: boolean): GpuDispatch =>
  mixedStage(
    'forward',
    pass,
    attrs,
    {
      packedQ: own(pass.queries),
      packedK: met(pass.keys),
      packedV: met(pass.values),
      o: writtenRowsOf('o', 'headWidth'),
      logSumExp: written('logSumExp'),
    },
    continues,
  );

const statsOf = { stats: read('stats', 'vec2f'), gradientScale: read('gradientScale') };

export const mixedQueryGradient = (
  pass: MixedPass,
  attrs: Attrs,
  continues: boolean,
  gradientOf: (name: string) => string,
): GpuDispatch =>
  mixedStage(
    'query gradient',
    pass,
    attrs,
    {
      packedQ: own(pass.queries),
      packedDO: own('dO'),
      packedK: met(pass.keys),
      packedV: met(pass.values),
      ...statsOf,
      dQ: writtenRowsOf(gradientOf(pass.queries), 'headWidth'),
    },
    continues,
  );

export const mixedKeyGradient = (
  pass: MixedPass,
  attrs: Attrs,
  continues: boolean,
  gradientOf: (name: string) => string,
): GpuDispatch =>
  mixedStage(
    'key gradient',
    pass,
    attrs,
    {
      packedK: own(pass.keys),
      packedV: own(pass.values),
      packedQ: met(pass.queries),
      packedDO: met('dO'),
      ...statsOf,
      dK: writtenRowsOf(gradientOf(pass.keys), 'headWidth'),
      dV: writtenRowsOf(gradientOf(pass.values), 'headWidth'),
    },
    continues,
  );
