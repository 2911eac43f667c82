/** DeltaNet and Gated DeltaNet as fla's layers compute them (delta rule). */
import { headOf, linear, map, nd, type NdArray } from './array.ts';
import { gatedRmsNorm, l2Norm, mambaLogDecay, rmsNorm, sigmoid, silu, sumNorm } from './blocks.ts';
import {
  overHeads,
  parameter,
  projectHeads,
  projectOutput,
  repeatHeads,
  setting,
  type CellOracle,
  type CellState,
  type FlaConfig,
  type Parameters,
} from './cells.ts';
import { deltaRule } from './engines.ts';
import { eluPlusOne, relu } from './feature-maps.ts';

const activations = { silu, relu, elu: eluPlusOne, identity: (x: number): number => x };

/** β [T, H]: σ(W_b x), twice that with `allow_neg_eigval`. */
function writeStrength(parameters: Parameters, config: FlaConfig, x: NdArray): NdArray {
  const factor = setting(config, 'allow_neg_eigval', false) ? 2 : 1;
  return map(linear(x, parameter(parameters, 'b_proj.weight')), (b) => factor * sigmoid(b));
}

/** The delta rule with e = βk and y = βv on every head: q, k [T, H, dk], v [T, H, dv], β and g [T, H]. */
function scanDelta(
  inputs: { q: NdArray; k: NdArray; v: NdArray; beta: NdArray; logDecay?: NdArray },
  initialStates: NdArray | undefined,
): { o: NdArray; recurrent: NdArray } {
  const { q, k, v, beta, logDecay } = inputs;
  return overHeads(v.shape[1]!, initialStates, (h, initialState) => {
    const strength = headOf(beta, h).data;
    const timesBeta = (rows: NdArray) =>
      map(rows, (value, i) => value * strength[Math.floor(i / rows.shape[1]!)]!);
    return deltaRule({
      q: map(headOf(q, h), (value) => value / Math.sqrt(q.shape[2]!)),
      k: headOf(k, h),
      e: timesBeta(headOf(k, h)),
      y: timesBeta(headOf(v, h)),
      logDecay: logDecay && headOf(logDecay, h),
      initialState,
    });
  });
}

/** W_o of a per-head RMSNorm `o_norm`, gated by silu(W_g x) if asked for. */
function readout(parameters: Parameters, epsilon: number, gated: boolean, o: NdArray, x: NdArray): NdArray {
  const weight = parameter(parameters, 'o_norm.weight');
  if (!gated) return projectOutput(parameters, rmsNorm(o, weight, epsilon));
  return projectOutput(
    parameters,
    gatedRmsNorm(o, linear(x, parameter(parameters, 'g_proj.weight')), weight, epsilon),
  );
}

function nextPosition(state: CellState | undefined, x: NdArray): number {
  return (state?.position ?? 0) + x.shape[0]!;
}

/** S ← (I − β k kᵀ) S + β k vᵀ, q and k normalised. */
export const deltaNet: CellOracle = {
  perMemory: ['k_proj', 'v_proj', 'b_proj'],
  scan(parameters, config, x, state) {
    const heads = setting(config, 'num_heads', 4);
    const activation = activations[setting<keyof typeof activations>(config, 'qk_activation', 'silu')];
    const normalise = setting<string>(config, 'qk_norm', 'l2') === 'sum' ? sumNorm : l2Norm;
    const q = projectHeads(parameters, 'q', x, heads, state, activation);
    const k = projectHeads(parameters, 'k', x, heads, state, activation);
    const v = projectHeads(parameters, 'v', x, heads, state, silu);
    const beta = setting(config, 'use_beta', true)
      ? writeStrength(parameters, config, x)
      : map(nd([x.shape[0]!, heads]), () => (setting(config, 'allow_neg_eigval', false) ? 2 : 1));
    const { o, recurrent } = scanDelta(
      { q: normalise(q.heads), k: normalise(k.heads), v: v.heads, beta },
      state?.recurrent,
    );
    const windows = { ...q.window, ...k.window, ...v.window };
    return { o, state: { recurrent, windows, position: nextPosition(state, x) } };
  },
  readout: (parameters, config, o, x) =>
    readout(parameters, setting(config, 'norm_eps', 1e-5), setting(config, 'use_gate', false), o, x),
};

/** S ← e^g (I − β k kᵀ) S + β k vᵀ; with `num_v_heads` q and k are repeated for groups of value heads. */
export const gatedDeltaNet: CellOracle = {
  perMemory: ['k_proj', 'v_proj', 'b_proj', 'a_proj'],
  scan(parameters, config, x, state) {
    const heads = setting(config, 'num_heads', 6);
    const valueHeads = setting(config, 'num_v_heads', heads);
    const q = projectHeads(parameters, 'q', x, heads, state, silu);
    const k = projectHeads(parameters, 'k', x, heads, state, silu);
    const v = projectHeads(parameters, 'v', x, valueHeads, state, silu);
    const a = linear(x, parameter(parameters, 'a_proj.weight'));
    const { o, recurrent } = scanDelta(
      {
        q: repeatHeads(l2Norm(q.heads), valueHeads / heads),
        k: repeatHeads(l2Norm(k.heads), valueHeads / heads),
        v: v.heads,
        beta: writeStrength(parameters, config, x),
        logDecay: mambaLogDecay(a, parameter(parameters, 'A_log'), parameter(parameters, 'dt_bias')),
      },
      state?.recurrent,
    );
    const windows = { ...q.window, ...k.window, ...v.window };
    return { o, state: { recurrent, windows, position: nextPosition(state, x) } };
  },
  readout: (parameters, config, o, x) =>
    readout(parameters, setting(config, 'norm_eps', 1e-5), setting(config, 'use_gate', true), o, x),
};
