// What most cells share on the way in: short convolutions with their carried windows, and heads.
import { shortConv } from '@mnemix/kernels';
import type { ConvolutionParams, ProjectContext } from '@mnemix/layers';
import { expandDims, reshape, tile, type Tensor2D, type Tensor3D } from '@mnemix/tensor';

/** The last inputs of each convolution, [sequences, channels, taps]. */
export type Windows<Name extends string = string> = { readonly [stream in Name]: Tensor3D };

export interface Convolved<Name extends string> {
  readonly values: { readonly [stream in Name]: Tensor2D };
  readonly windows: Windows<Name>;
}

/**
 * Convolves each stream along its own (sub)sequence, continuing from the windows of an earlier call.
 *
 * @param activation of each stream; `silu` unless given
 */
export function convolve<Name extends string>(
  context: ProjectContext,
  streams: { readonly [stream in Name]: readonly [x: Tensor2D, parameters: ConvolutionParams] },
  before: Windows<Name> | undefined,
  activation: { readonly [stream in Name]?: 'silu' | 'none' } = {},
): Convolved<Name> {
  const values: Partial<Record<Name, Tensor2D>> = {};
  const windows: Partial<Record<Name, Tensor3D>> = {};
  for (const name of Object.keys(streams) as Name[]) {
    const [x, { weight }] = streams[name];
    const { y, state } = shortConv(
      { x, weight, initialState: before?.[name] },
      { sequences: context.sequences, activation: activation[name] ?? 'silu' },
    );
    values[name] = y as Tensor2D;
    windows[name] = state as Tensor3D;
  }
  return { values, windows } as Convolved<Name>;
}

/** [N, H·D] → [N, H, D]. */
export const toHeads = (x: Tensor2D, heads: number): Tensor3D =>
  reshape(x, [x.shape[0], heads, x.shape[1] / heads]) as Tensor3D;

/** [N, H, D] → [N, H·D]. */
export const fromHeads = (x: Tensor3D): Tensor2D =>
  reshape(x, [x.shape[0], x.shape[1] * x.shape[2]]) as Tensor2D;

/** Each head `times` times in a row, for memories with more value heads than key heads: [N,H,D] → [N,H·times,D]. */
export function repeatHeads(x: Tensor3D, times: number): Tensor3D {
  if (times === 1) return x;
  const [rows, heads, width] = x.shape;
  return reshape(tile(expandDims(x, 2), [1, 1, times, 1]), [rows, heads * times, width]) as Tensor3D;
}
