// How kernels that work on rows, or number by number, share them out: the text that they begin with, and its constants.
import pack1Wgsl from './pack-1.wgsl';
import pack4Wgsl from './pack-4.wgsl';
import rowsWgsl from './rows.wgsl';

/** Invocations of a workgroup. */
export const INVOCATIONS = 256;
/** More workgroups than any device runs at once; each takes further rows in turn. */
export const MAX_GROUPS = 4096;
/** Fewer where each leaves a partial sum over its rows. */
export const MAX_PARTIALS = 1024;

/** A body of WGSL in both widths of its type `Pack`. */
export interface PackedText {
  readonly 1: string;
  readonly 4: string;
}

/** The text of a kernel that moves numbers in packs. */
export const packed = (...parts: readonly string[]): PackedText => ({
  1: [pack1Wgsl, ...parts].join('\n'),
  4: [pack4Wgsl, ...parts].join('\n'),
});

/** The text of a kernel that is laid out as rows.wgsl says. */
export const packedRows = (...parts: readonly string[]): PackedText => packed(rowsWgsl, ...parts);

/** Numbers in a pack, for rows of these widths. */
export const packOf = (...widths: readonly number[]): 1 | 4 =>
  widths.every((width) => width % 4 === 0) ? 4 : 1;

/** How rows of a width are shared out. */
export interface RowLayout {
  readonly pack: 1 | 4;
  /** Packs of a row. */
  readonly packs: number;
  /** Rows that a workgroup has in hand. */
  readonly slots: number;
  /** The overrides of rows.wgsl. */
  readonly constants: { readonly lanes: number; readonly slots: number; readonly packs: number };
}

export function rowLayout(width: number): RowLayout {
  const pack = packOf(width);
  const packs = width / pack;
  const lanes = Math.min(INVOCATIONS, 2 ** Math.ceil(Math.log2(packs)));
  const slots = INVOCATIONS / lanes;
  return { pack, packs, slots, constants: { lanes, slots, packs } };
}

/** Workgroups for so many rows. */
export const rowGroups = (rows: number, { slots }: RowLayout, most = MAX_GROUPS): number =>
  Math.min(most, Math.ceil(rows / slots));

/** What rows.wgsl and its neighbours take of workgroup memory besides. */
const OTHER_BYTES = 8 * INVOCATIONS + 32;

/** Why a workgroup cannot add up `vectors` gradients of a row's width, such as a weight's, over its rows; `undefined` if it can. */
export function obstacleToSums(width: number, vectors: number, { limits }: GPUDevice): string | undefined {
  const bytes = OTHER_BYTES + 4 * vectors * rowLayout(width).slots * width;
  return bytes > limits.maxComputeWorkgroupStorageSize
    ? `gradients of ${width} columns are more than workgroup memory holds`
    : undefined;
}

/** Workgroups of a kernel that strides over `count` packs. */
export const packGroups = (count: number): number => Math.min(MAX_GROUPS, Math.ceil(count / INVOCATIONS));
