/** KDA as fla's layer computes it: S ← (I − β k kᵀ) Diag(e^g) S + β k vᵀ, a decay for each key channel. */
import { headOf, linear, map, reshape, type NdArray } from './array.ts';
import { boundedLogDecay, gatedRmsNorm, l2Norm, mambaLogDecay, sigmoid, silu } from './blocks.ts';
import {
  overHeads,
  parameter,
  projectHeads,
  projectOutput,
  repeatHeads,
  setting,
  type CellOracle,
  type FlaConfig,
  type Parameters,
} from './cells.ts';
import { deltaRule, type DeltaRuleInputs } from './engines.ts';

/** W₂ W₁ x + b of the layers `<name>.0` and `<name>.1`: [T, d] → [T, out]. */
function lowRank(parameters: Parameters, name: string, x: NdArray): NdArray {
  const down = linear(x, parameter(parameters, `${name}.0.weight`));
  return linear(down, parameter(parameters, `${name}.1.weight`), parameters[`${name}.1.bias`]);
}

/** g [T, H, dk] from `f_proj`, with one rate e^{A_log} a head; `lowerBound` is that of the bounded gate. */
export function channelLogDecay(parameters: Parameters, x: NdArray, lowerBound: number | undefined): NdArray {
  const f = lowRank(parameters, 'f_proj', x);
  const [rates, bias] = [parameter(parameters, 'A_log'), parameter(parameters, 'dt_bias')];
  const heads = rates.shape[0]!;
  const width = bias.shape[0]! / heads;
  const aLog = map(bias, (_, i) => rates.data[Math.floor(i / width)]!);
  const g =
    lowerBound === undefined ? mambaLogDecay(f, aLog, bias) : boundedLogDecay(f, aLog, bias, lowerBound);
  return reshape(g, [x.shape[0]!, heads, width]);
}

/**
 * The delta rule on every head: q, unscaled, k and the erase keys e [T, H, dk], the values y [T, H, dv] that are
 * written, g [T, H, dk] or [T, H].
 */
export function scanDeltaHeads(
  inputs: { q: NdArray; k: NdArray; e: NdArray; y: NdArray; logDecay: NdArray },
  initialStates: NdArray | undefined,
  erase?: DeltaRuleInputs['erase'],
): { o: NdArray; recurrent: NdArray } {
  const { q, k, e, y, logDecay } = inputs;
  return overHeads(y.shape[1]!, initialStates, (h, initialState) =>
    deltaRule({
      q: map(headOf(q, h), (value) => value / Math.sqrt(q.shape[2]!)),
      k: headOf(k, h),
      e: headOf(e, h),
      y: headOf(y, h),
      logDecay: headOf(logDecay, h),
      initialState,
      erase,
    }),
  );
}

/** x [T, H, width] times a number for each token and head [T, H]. */
export const timesHeads = (x: NdArray, factors: NdArray): NdArray =>
  map(x, (value, i) => value * factors.data[Math.floor(i / x.shape[2]!)]!);

/** W_o( RMSNorm(o)·w ⊙ σ(W₂ W₁ x + b) ). */
export function lowRankGatedReadout(
  parameters: Parameters,
  config: FlaConfig,
  o: NdArray,
  x: NdArray,
): NdArray {
  const weight = parameter(parameters, 'o_norm.weight');
  const gate = lowRank(parameters, 'g_proj', x);
  return projectOutput(
    parameters,
    gatedRmsNorm(o, gate, weight, setting(config, 'norm_eps', 1e-5), 'sigmoid'),
  );
}

export const kda: CellOracle = {
  perMemory: ['k_proj', 'v_proj', 'f_proj', 'b_proj'],
  scan(parameters, config, x, state) {
    const heads = setting(config, 'num_heads', 16);
    const valueHeads = setting(config, 'num_v_heads', heads);
    const q = projectHeads(parameters, 'q', x, heads, state, silu);
    const k = projectHeads(parameters, 'k', x, heads, state, silu);
    const v = projectHeads(parameters, 'v', x, valueHeads, state, silu);
    const strongest = setting(config, 'allow_neg_eigval', false) ? 2 : 1;
    const beta = map(linear(x, parameter(parameters, 'b_proj.weight')), (b) => strongest * sigmoid(b));
    const keys = repeatHeads(l2Norm(k.heads), valueHeads / heads);
    const bounded = setting(config, 'safe_gate', false);
    const { o, recurrent } = scanDeltaHeads(
      {
        q: repeatHeads(l2Norm(q.heads), valueHeads / heads),
        k: keys,
        e: timesHeads(keys, beta),
        y: timesHeads(v.heads, beta),
        logDecay: channelLogDecay(parameters, x, bounded ? setting(config, 'lower_bound', -5) : undefined),
      },
      state?.recurrent,
    );
    const windows = { ...q.window, ...k.window, ...v.window };
    return { o, state: { recurrent, windows, position: (state?.position ?? 0) + x.shape[0]! } };
  },
  readout: lowRankGatedReadout,
};
