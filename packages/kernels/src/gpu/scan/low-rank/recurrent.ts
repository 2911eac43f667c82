// The scan token by token, in one dispatch: for few tokens.
import { f32, u32, type GpuDispatch } from '../../kernel.ts';
import { read, stage, written } from '../stage.ts';
import { GATES, tilesOf } from '../stages.ts';
import recurrentWgsl from './recurrent.wgsl';
import { MOST_BUFFERS, type LowRankSizes } from './sizes.ts';

/** Sequences that are no longer go token by token: one dispatch, which for single tokens moves the state just once. */
export const FEW_TOKENS = 8;

interface Recurrent {
  readonly recall: string;
  /** β, if there is any, or b. */
  readonly write: string | undefined;
  readonly isDelta: boolean;
  readonly logDecay: string | undefined;
  readonly initial: string | undefined;
  readonly corrected: string;
  readonly attrs: {
    readonly maxLength: number;
    readonly scale: number;
    readonly uniform?: { readonly tokens: number } | undefined;
  };
}

const RAGGED = `
fn startOf(sequence: u32) -> u32 {
  return u32(starts[sequence]);
}
fn lengthOf(sequence: u32) -> u32 {
  return u32(lengths[sequence]);
}`;
const DENSE = `
fn startOf(sequence: u32) -> u32 {
  return sequence * sizes.tokens;
}
fn lengthOf(sequence: u32) -> u32 {
  return sizes.tokens;
}`;

/** See recurrent.wgsl. None for longer sequences, and where the device has too few buffers. */
export function recurrent(
  { heads, dk, dv, gate, count, before }: LowRankSizes,
  { recall, write, isDelta, logDecay, initial, corrected, attrs }: Recurrent,
  { limits }: GPUDevice,
): GpuDispatch | undefined {
  const dense = attrs.uniform;
  const buffers = dense ? MOST_BUFFERS.dense : MOST_BUFFERS.ragged;
  if (attrs.maxLength > FEW_TOKENS || buffers > limits.maxStorageBuffersPerShaderStage) return undefined;
  return stage({
    name: `LowRank recurrent ${dense ? 'dense' : 'ragged'}`,
    parts: [recurrentWgsl, dense ? DENSE : RAGGED],
    bindings: {
      q: read('q'),
      k: read('k'),
      v: read('v'),
      recall: read(recall),
      write: read(write ?? 'q'),
      logDecay: read(logDecay ?? 'q'),
      initialState: read(initial ?? 'q'),
      ...(!dense && { starts: read('starts', 'i32'), lengths: read('lengths', 'i32') }),
      o: written('o'),
      state: written('state'),
      corrected: written(corrected),
    },
    uniforms: [
      u32(heads),
      u32(dk),
      u32(dv),
      u32(GATES[gate]),
      u32(Number(initial !== undefined)),
      u32(Number(before)),
      u32(Number(isDelta)),
      u32(Number(write !== undefined)),
      u32(dense?.tokens ?? 0),
      f32(attrs.scale),
    ],
    constants: {},
    workgroups: [tilesOf(dv), heads, count],
    aligned: false,
  });
}
