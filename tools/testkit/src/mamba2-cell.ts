/** Mamba-2 as fla's layer computes it: S ← e^{dt·A} S + B (dt·x)ᵀ, y = SᵀC + D x, RMSNorm(y ⊙ silu(z)). */
import { linear, map, mapVectors, nd, reshape, zipWith, type NdArray } from './array.ts';
import { rmsNorm, shortConvolution, silu, softplus } from './blocks.ts';
import {
  parameter,
  repeatHeads,
  setting,
  type CellOracle,
  type CellState,
  type Parameters,
} from './cells.ts';
import { scanScalarDecay } from './simple-gla-cell.ts';

/** x [..., n] → [..., to − from]. */
const columns = (x: NdArray, from: number, to: number): NdArray =>
  mapVectors(x, (vector) => vector.slice(from, to), to - from);

/** What heads read of their memories, and the memories then; `further` [T, …] is what in_proj has behind dt. */
type Memory = (
  inputs: Record<'q' | 'k' | 'v' | 'logDecay', NdArray>,
  state: CellState | undefined,
  further: NdArray,
  parameters: Parameters,
) => { o: NdArray; recurrent: NdArray };

/** Mamba-2 with another memory. */
export const mamba2With = (memory: Memory): CellOracle => ({
  perMemory: ['in_proj'],
  /** o holds what each head reads, and behind it the head's part of z. */
  scan(parameters, config, x, state) {
    const tokens = x.shape[0]!;
    const heads = parameter(parameters, 'A_log').shape[0]!;
    const groups = setting(config, 'n_groups', 1);
    const inner = parameter(parameters, 'norm.weight').shape[0]!;
    const channels = parameter(parameters, 'conv1d.weight').shape[0]!;
    const stateSize = (channels - inner) / 2;
    const width = inner / heads;

    const projected = linear(x, parameter(parameters, 'in_proj.weight'));
    const z = columns(projected, 0, inner);
    const convolved = shortConvolution(
      columns(projected, inner, inner + channels),
      parameter(parameters, 'conv1d.weight'),
      { bias: parameter(parameters, 'conv1d.bias'), cache: state?.windows['conv'] },
    );
    const values = reshape(columns(convolved.y, 0, inner), [tokens, heads, width]);
    const ofGroups = (from: number): NdArray =>
      repeatHeads(
        reshape(columns(convolved.y, from, from + stateSize), [tokens, groups, stateSize / groups]),
        heads / groups,
      );
    const [least, most] = setting(config, 'time_step_limit', [0, Infinity] as const);
    const bias = parameter(parameters, 'dt_bias').data;
    const dt = map(columns(projected, inner + channels, inner + channels + heads), (value, i) =>
      Math.min(Math.max(softplus(value + bias[i % heads]!), least), most),
    );
    const rates = parameter(parameters, 'A_log').data;
    const { o, recurrent } = memory(
      {
        q: ofGroups(inner + stateSize),
        k: ofGroups(inner),
        v: map(values, (value, i) => value * dt.data[Math.floor(i / width)]!),
        logDecay: map(dt, (value, i) => -value * Math.exp(rates[i % heads]!)),
      },
      state,
      columns(projected, inner + channels + heads, projected.shape[1]!),
      parameters,
    );
    const skip = parameter(parameters, 'D').data;
    const y = map(o, (read, i) => read + skip[Math.floor(i / width) % heads]! * values.data[i]!).data;
    const both = map(nd([tokens, heads, 2 * width]), (_, i) => {
      const [row, column] = [Math.floor(i / (2 * width)), i % (2 * width)];
      return column < width ? y[row * width + column]! : z.data[row * width + column - width]!;
    });
    const windows = { conv: convolved.cache };
    return { o: both, state: { recurrent, windows, position: (state?.position ?? 0) + tokens } };
  },
  readout(parameters, config, o) {
    const tokens = o.shape[0]!;
    const width = o.shape[2]! / 2;
    const gated = zipWith(columns(o, 0, width), columns(o, width, 2 * width), (y, z) => y * silu(z));
    const weight = parameter(parameters, 'norm.weight');
    const groups = setting(config, 'n_groups', 1);
    const inGroups = reshape(gated, [tokens, groups, weight.shape[0]! / groups]);
    const normed = reshape(rmsNorm(inGroups, undefined, setting(config, 'norm_eps', 1e-5)), [
      tokens,
      weight.shape[0]!,
    ]);
    return linear(
      mapVectors(normed, (vector) => vector.map((value, i) => value * weight.data[i]!)),
      parameter(parameters, 'out_proj.weight'),
    );
  },
});

export const mamba2: CellOracle = mamba2With((inputs, state) => scanScalarDecay(inputs, state?.recurrent, 1));
