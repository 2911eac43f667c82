// The short causal convolutions in front of a memory: one for each stream of it, or none at all.
import { checkCount } from '@mnemix/tensor';
import { shortConvs, type ShortConvOutputs } from '@mnemix/kernels';
import {
  initConvolution,
  type CellParams,
  type ConvolutionParams,
  type ProjectContext,
  type StateShape,
} from '@mnemix/layers';
import type { Rng, Tensor2D, Tensor3D } from '@mnemix/tensor';

/** The last inputs of each convolution, [sequences, channels, taps]. */
export type Windows<Name extends string = string> = { readonly [stream in Name]: Tensor3D };

/** A state's windows, where the cell has convolutions. */
export type WindowState<Name extends string = string> = { readonly windows?: Windows<Name> | undefined };

type Streams<Name extends string> = { readonly [stream in Name]: Tensor2D };

export interface Convolutions<Name extends string> {
  /** `q_conv1d`, … for streams q, …; nothing for a cell without convolutions. */
  init(rng: Rng): CellParams;
  /** `windows`, or nothing. */
  stateShape(sequences: number): StateShape;
  /**
   * Convolves each stream along its own (sub)sequence, continuing from the windows of an earlier call; the streams as
   * they are where there are no convolutions.
   *
   * @param activation of each stream behind its convolution; `silu` unless given
   */
  apply(
    params: CellParams,
    context: ProjectContext<WindowState<Name>>,
    streams: Streams<Name>,
    activation?: { readonly [stream in Name]?: 'silu' | 'none' },
  ): { values: Streams<Name> } & WindowState<Name>;
}

/**
 * @param cell the function that received the options, for the error
 * @param taps 0 for no convolutions
 * @param channels width of each stream
 */
export function convolutions<Name extends string>(
  cell: string,
  taps: number,
  channels: { readonly [stream in Name]: number },
): Convolutions<Name> {
  checkCount(`${cell}(convolution)`, taps, 0);
  const names = Object.keys(channels) as Name[];
  const forEach = <T>(make: (name: Name) => T): { [stream in Name]: T } =>
    Object.fromEntries(names.map((name) => [name, make(name)])) as { [stream in Name]: T };
  const parameterName = (name: Name): string => `${name}_conv1d`;
  if (taps === 0) return { init: () => ({}), stateShape: () => ({}), apply: (_, __, values) => ({ values }) };
  return {
    init: (rng) =>
      Object.fromEntries(
        names.map((name) => {
          const parameter = parameterName(name);
          return [parameter, initConvolution(rng.fold(parameter), channels[name], taps)];
        }),
      ),
    stateShape: (sequences) => ({ windows: forEach((name) => [sequences, channels[name], taps]) }),
    apply: (params, { sequences, state }, streams, activation = {}) => {
      const made = shortConvs(
        names.map((name) => ({
          x: streams[name],
          weight: (params[parameterName(name)] as ConvolutionParams).weight,
          initialState: state?.windows?.[name],
          activation: activation[name] ?? 'silu',
        })),
        { sequences },
      );
      const convolved = forEach((name) => made[names.indexOf(name)] as ShortConvOutputs);
      return {
        values: forEach((name) => convolved[name].y as Tensor2D),
        windows: forEach((name) => convolved[name].state as Tensor3D),
      };
    },
  };
}
