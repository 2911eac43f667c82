/** HGRN2 as fla's layer and model compute it: S ← Diag(p) S + (1 − p) vᵀ with p = ℓ + (1−ℓ) σ(W_f x). */
import { at, headOf, linear, map, mapVectors, nd, reshape, type NdArray } from './array.ts';
import { rmsNorm, shortConvolution, sigmoid, silu, softmax } from './blocks.ts';
import {
  overHeads,
  parameter,
  projectOutput,
  setting,
  type CellOracle,
  type CellState,
  type Parameters,
} from './cells.ts';
import { diagonalDecay } from './engines.ts';

/** `<name>_proj` of x [T, d], then `<name>_conv1d` if the layer has one; no activation. */
function project(parameters: Parameters, name: 'q' | 'f' | 'i', x: NdArray, state: CellState | undefined) {
  const projected = linear(x, parameter(parameters, `${name}_proj.weight`));
  const weight = parameters[`${name}_conv1d.weight`];
  if (weight === undefined) return { y: projected, window: {} };
  const cache = state?.windows[name];
  const convolved = shortConvolution(projected, weight, { cache, activation: 'none' });
  return { y: convolved.y, window: { [name]: convolved.cache } };
}

/** ℓ [channels] of a layer: the running sum over layers of softmax(lower_bounds), less its first entry. */
function lowerBound(parameters: Parameters, layer: number, channels: number): NdArray {
  const logits = parameters['lower_bounds'];
  if (logits === undefined || layer === 0) return nd([channels]);
  const layers = logits.shape[0]!;
  const byChannel = map(
    nd([channels, layers]),
    (_, i) => at(logits, i % layers).data[Math.floor(i / layers)]!,
  );
  const sums = mapVectors(
    softmax(byChannel),
    (shares) => [shares.slice(0, layer + 1).reduce((sum, share) => sum + share, 0) - shares[0]!],
    1,
  );
  return reshape(sums, [channels]);
}

/**
 * Above the first layer (`layer_idx`) gates have a bound, if the parameters hold the model's `lower_bounds`.
 */
export const hgrn2: CellOracle = {
  perMemory: ['f_proj', 'i_proj'],
  scan(parameters, config, x, state) {
    const tokens = x.shape[0]!;
    const f = project(parameters, 'f', x, state);
    const q = project(parameters, 'q', x, state);
    const i = project(parameters, 'i', x, state);
    const [keySize, valueSize] = [f.y.shape[1]!, i.y.shape[1]!];
    const heads = setting(config, 'num_heads', keySize / setting(config, 'expand_ratio', 128));
    const toHeads = (rows: NdArray): NdArray => reshape(rows, [tokens, heads, rows.shape[1]! / heads]);
    const bounds = lowerBound(parameters, setting(config, 'layer_idx', 0), keySize).data;
    const gate = toHeads(
      map(f.y, (value, index) => {
        const bound = bounds[index % keySize]!;
        return bound + (1 - bound) * sigmoid(value);
      }),
    );
    const queries = toHeads(map(q.y, (value) => silu(value) / Math.sqrt(keySize / heads)));
    const values = reshape(i.y, [tokens, heads, valueSize / heads]);
    const { o, recurrent } = overHeads(heads, state?.recurrent, (h, initialState) =>
      diagonalDecay({
        q: headOf(queries, h),
        k: map(headOf(gate, h), (p) => 1 - p),
        v: headOf(values, h),
        logDecay: map(headOf(gate, h), Math.log),
        initialState,
      }),
    );
    const windows = { ...q.window, ...f.window, ...i.window };
    return { o, state: { recurrent, windows, position: (state?.position ?? 0) + tokens } };
  },
  readout(parameters, config, o) {
    const joined = reshape(o, [o.shape[0]!, o.data.length / o.shape[0]!]);
    const weight = parameter(parameters, 'g_norm.weight');
    return projectOutput(parameters, rmsNorm(joined, weight, setting(config, 'norm_eps', 1e-5)));
  },
};
