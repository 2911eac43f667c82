/** Linear attention, RetNet and GLA as fla's layers compute them (diagonal decay). */
import { at, headOf, linear, map, nd, reshape, stack, zipWith, type NdArray } from './array.ts';
import { gatedRmsNorm, logSigmoidLogDecay, rmsNorm, rotary, silu, sumNorm } from './blocks.ts';
import {
  overHeads,
  parameter,
  projectHeads,
  projectOutput,
  repeatHeads,
  setting,
  subtree,
  type CellOracle,
  type CellState,
  type FlaConfig,
  type Parameters,
} from './cells.ts';
import { diagonalDecay } from './engines.ts';
import { featureMap, type FeatureMapName } from './feature-maps.ts';

/** q, k, v [T, H, width] of one sequence, unscaled, keys and values repeated for grouped heads. */
function project(
  parameters: Parameters,
  config: FlaConfig,
  x: NdArray,
  state: CellState | undefined,
  heads: number,
) {
  const kvHeads = setting(config, 'num_kv_heads', heads);
  const activation = parameters['q_conv1d.weight'] ? silu : (value: number) => value;
  const q = projectHeads(parameters, 'q', x, heads, state, activation);
  const k = projectHeads(parameters, 'k', x, kvHeads, state, activation);
  const v = projectHeads(parameters, 'v', x, kvHeads, state, activation);
  return {
    q: q.heads,
    k: repeatHeads(k.heads, heads / kvHeads),
    v: repeatHeads(v.heads, heads / kvHeads),
    groups: heads / kvHeads,
    windows: { ...q.window, ...k.window, ...v.window },
    position: (state?.position ?? 0) + x.shape[0]!,
  };
}

/** q · dk^{-1/2}. */
function scaled(q: NdArray): NdArray {
  return map(q, (value) => value / Math.sqrt(q.shape.at(-1)!));
}

/** S ← S + φ(k) vᵀ; with `do_feature_map_norm` o is divided by scale·φ(q)·Σφ(k) + 1e-10. */
export const linearAttention: CellOracle = {
  perMemory: ['k_proj', 'v_proj'],
  scan(parameters, config, x, state) {
    const heads = setting(config, 'num_heads', 8);
    const { q, k, v, windows, position } = project(parameters, config, x, state, heads);
    const name = setting<FeatureMapName>(config, 'feature_map', 'elementwise_product');
    const keyMap = setting(config, 'tie_feature_map_qk', false) ? 'feature_map_q.' : 'feature_map_k.';
    let phiQ = featureMap(name, subtree(parameters, 'feature_map_q.'), q);
    let phiK = featureMap(name, subtree(parameters, keyMap), k);
    if (setting(config, 'norm_q', false)) phiQ = sumNorm(phiQ, 1e-4);
    if (setting(config, 'norm_k', false)) phiK = sumNorm(phiK, 1e-4);
    phiQ = scaled(phiQ);
    const { o, recurrent } = overHeads(heads, state?.recurrent, (h, initialState) =>
      diagonalDecay({ q: headOf(phiQ, h), k: headOf(phiK, h), v: headOf(v, h), initialState }),
    );
    if (!setting(config, 'do_feature_map_norm', false)) return { o, state: { recurrent, windows, position } };
    const sums = runningSums(phiK, state?.normaliser);
    const normaliser = at(sums, x.shape[0]! - 1);
    return { o: normalise(o, phiQ, sums), state: { recurrent, normaliser, windows, position } };
  },
  readout(parameters, config, o) {
    const normed = rmsNorm(o, parameters['norm.weight'], setting(config, 'norm_eps', 1e-5));
    return projectOutput(
      parameters,
      setting<string>(config, 'output_norm', 'rmsnorm') === 'identity' ? o : normed,
    );
  },
};

/** z_t = z_{t−1} + φ(k_t): [T, H, dk]. */
function runningSums(phiK: NdArray, initial: NdArray | undefined): NdArray {
  const sums: NdArray[] = [];
  let sum = initial ?? nd(phiK.shape.slice(1));
  for (let t = 0; t < phiK.shape[0]!; t++) sums.push((sum = zipWith(sum, at(phiK, t), (z, k) => z + k)));
  return stack(sums);
}

function normalise(o: NdArray, phiQ: NdArray, sums: NdArray): NdArray {
  const [dk, dv] = [phiQ.shape[2]!, o.shape[2]!];
  const products = zipWith(phiQ, sums, (q, z) => q * z);
  return map(o, (value, i) => {
    const index = Math.floor(i / dv) * dk;
    return value / (products.data.subarray(index, index + dk).reduce((sum, p) => sum + p, 0) + 1e-10);
  });
}

/** S ← γ_h S + k vᵀ with γ_h = 1 − 2^{−5−h}; q and k rotated by the token's position. */
export const retnet: CellOracle = {
  perMemory: ['k_proj', 'v_proj'],
  scan(parameters, config, x, state) {
    const heads = setting(config, 'num_heads', 8);
    rejectFeatureMap(config);
    const { q, k, v, windows, position } = project(parameters, config, x, state, heads);
    const start = state?.position ?? 0;
    const [rotatedQ, rotatedK] = [rotary(scaled(q), start), rotary(k, start)];
    const scanned = overHeads(heads, state?.recurrent, (h, initialState) =>
      diagonalDecay({
        q: headOf(rotatedQ, h),
        k: headOf(rotatedK, h),
        v: headOf(v, h),
        logDecay: map(nd([x.shape[0]!]), () => Math.log1p(-(2 ** (-5 - h)))),
        initialState,
      }),
    );
    return { o: scanned.o, state: { recurrent: scanned.recurrent, windows, position } };
  },
  readout: gatedReadout,
};

/** S ← Diag(e^g) S + k vᵀ with g = ln σ(W₂ W₁ x + b) / 16 for each key channel. */
export const gla: CellOracle = {
  perMemory: ['k_proj', 'v_proj', 'gk_proj'],
  scan(parameters, config, x, state) {
    const heads = setting(config, 'num_heads', 4);
    rejectFeatureMap(config);
    const { q, k, v, groups, windows, position } = project(parameters, config, x, state, heads);
    const lowRank = linear(x, parameter(parameters, 'gk_proj.0.weight'));
    const f = linear(lowRank, parameter(parameters, 'gk_proj.1.weight'), parameters['gk_proj.1.bias']);
    const perHead = repeatHeads(reshape(f, [x.shape[0]!, heads / groups, k.shape[2]!]), groups);
    const unclamped = logSigmoidLogDecay(perHead, setting(config, 'gate_logit_normalizer', 16));
    const clampMin = setting(config, 'clamp_min', -Infinity);
    const logDecay = map(unclamped, (value) => Math.max(value, clampMin));
    const scaledQ = scaled(q);
    const scanned = overHeads(heads, state?.recurrent, (h, initialState) =>
      diagonalDecay({
        q: headOf(scaledQ, h),
        k: headOf(k, h),
        v: headOf(v, h),
        logDecay: headOf(logDecay, h),
        initialState,
      }),
    );
    return { o: scanned.o, state: { recurrent: scanned.recurrent, windows, position } };
  },
  readout: gatedReadout,
};

/** RetNet's and GLA's optional `feature_map` is an activation by name; none of our data uses it. */
function rejectFeatureMap(config: FlaConfig): void {
  const name = setting<string | undefined>(config, 'feature_map', undefined);
  if (name !== undefined) throw new Error(`feature_map '${name}' is not part of this oracle`);
}

/** W_o (RMSNorm(o)·w ⊙ silu(W_g x)); without `use_output_gate` only the norm, then named `g_norm`. */
function gatedReadout(parameters: Parameters, config: FlaConfig, o: NdArray, x: NdArray): NdArray {
  const epsilon = setting(config, 'norm_eps', 1e-5);
  if (!setting(config, 'use_output_gate', true)) {
    return projectOutput(parameters, rmsNorm(o, parameters['g_norm.weight'], epsilon));
  }
  const gate = linear(x, parameter(parameters, 'g_proj.weight'));
  return projectOutput(parameters, gatedRmsNorm(o, gate, parameters['g_norm_swish_gate.weight'], epsilon));
}
