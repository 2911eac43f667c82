/**
 * Simple GLA as fla's layer computes it: S ← e^g S + k vᵀ with g = ln σ(W_g x + b) / τ, one for each head.
 */
import { headOf, linear, map, type NdArray } from './array.ts';
import { gatedRmsNorm, logSigmoidLogDecay, rmsNorm, silu } from './blocks.ts';
import {
  overHeads,
  parameter,
  projectHeads,
  projectOutput,
  setting,
  type CellOracle,
  type FlaConfig,
  type Parameters,
} from './cells.ts';
import { diagonalDecay } from './engines.ts';
import { eluPlusOne, relu } from './feature-maps.ts';

/** Activations of queries and keys, by the product's names. */
export const queryKeyActivations = {
  silu,
  relu,
  elu: eluPlusOne,
  identity: (x: number): number => x,
} as const;

/**
 * S ← e^g S + k vᵀ on every head, with one gate a head: q, k [T, H, dk] unscaled, v [T, H, dv], g [T, H].
 * Outputs [T, H, dv] and final states [H, dk, dv].
 */
export function scanScalarDecay(
  { q, k, v, logDecay }: { q: NdArray; k: NdArray; v: NdArray; logDecay: NdArray },
  initialStates: NdArray | undefined,
  scale = q.shape[2]! ** -0.5,
): { o: NdArray; recurrent: NdArray } {
  return overHeads(q.shape[1]!, initialStates, (h, initialState) =>
    diagonalDecay({
      q: map(headOf(q, h), (value) => scale * value),
      k: headOf(k, h),
      v: headOf(v, h),
      logDecay: headOf(logDecay, h),
      initialState,
    }),
  );
}

/** W_o (RMSNorm(o)·w ⊙ silu(W_g x)); without a gate only the norm, then named `g_norm`. */
export function normedReadout(
  parameters: Parameters,
  epsilon: number,
  gate: boolean,
  o: NdArray,
  x: NdArray,
): NdArray {
  if (!gate) return projectOutput(parameters, rmsNorm(o, parameter(parameters, 'g_norm.weight'), epsilon));
  const z = linear(x, parameter(parameters, 'g_proj.weight'));
  const weight = parameter(parameters, 'g_norm_swish_gate.weight');
  return projectOutput(parameters, gatedRmsNorm(o, z, weight, epsilon));
}

export const simpleGla: CellOracle = {
  perMemory: ['k_proj', 'v_proj', 'gk_proj'],
  scan(parameters, config, x, state) {
    const heads = setting(config, 'num_heads', 4);
    const featureMap = setting<keyof typeof queryKeyActivations>(config, 'feature_map', 'identity');
    const convolved = parameters['q_conv1d.weight'] ? silu : queryKeyActivations.identity;
    const activated = (value: number): number => queryKeyActivations[featureMap](convolved(value));
    const q = projectHeads(parameters, 'q', x, heads, state, activated);
    const k = projectHeads(parameters, 'k', x, heads, state, activated);
    const v = projectHeads(parameters, 'v', x, heads, state, convolved);
    const f = linear(x, parameter(parameters, 'gk_proj.weight'), parameter(parameters, 'gk_proj.bias'));
    const { o, recurrent } = scanScalarDecay(
      {
        q: q.heads,
        k: k.heads,
        v: v.heads,
        logDecay: logSigmoidLogDecay(f, setting(config, 'gate_logit_normalizer', 16)),
      },
      state?.recurrent,
    );
    const windows = { ...q.window, ...k.window, ...v.window };
    return { o, state: { recurrent, windows, position: (state?.position ?? 0) + x.shape[0]! } };
  },
  readout: (parameters: Parameters, config: FlaConfig, o: NdArray, x: NdArray) =>
    normedReadout(
      parameters,
      setting(config, 'norm_eps', 1e-5),
      setting(config, 'use_output_gate', true),
      o,
      x,
    ),
};
