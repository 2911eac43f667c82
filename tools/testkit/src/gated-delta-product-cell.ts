/**
 * Gated DeltaProduct as fla's layer computes it: for each token S ← e^g S, then n steps
 * S ← S + β_j k_j (v_j − Sᵀk_j)ᵀ, then o = Sᵀq.
 */
import { headOf, linear, map, nd, reshape, type NdArray } from './array.ts';
import { gatedRmsNorm, l2Norm, mambaLogDecay, rmsNorm, sigmoid, silu } from './blocks.ts';
import {
  overHeads,
  parameter,
  projectHeads,
  projectOutput,
  repeatHeads,
  setting,
  type CellOracle,
} from './cells.ts';
import type { EngineResult } from './engines.ts';
import { addOuter, decayAt, read, scanTokens, scaleRows, token } from './recurrence.ts';

/** One head: q [T, dk], scaled; k [T·n, dk], v [T·n, dv], β [T·n], a token's steps in turn; g [T]. */
function scanProduct(inputs: {
  q: NdArray;
  k: NdArray;
  v: NdArray;
  beta: NdArray;
  logDecay: NdArray | undefined;
  initialState: NdArray | undefined;
}): EngineResult {
  const { q, k, v, beta, logDecay } = inputs;
  const [tokens = 0, dk = 0] = q.shape;
  const steps = k.shape[0]! / tokens;
  const dv = v.shape[1]!;
  const { output, states } = scanTokens(inputs, { tokens, dk, dv }, (state, t) => {
    scaleRows(state, decayAt(logDecay, t, dk), dv);
    for (let step = t * steps; step < (t + 1) * steps; step++) {
      const [key, strength] = [token(k, step), beta.data[step]!];
      const held = read(state, key, dv);
      const change = token(v, step).map((value, j) => strength * (value - held[j]!));
      addOuter(state, key, change);
    }
    return read(state, token(q, t), dv);
  });
  return { output, states, finalState: nd([dk, dv], states.at(-1)) };
}

export const gatedDeltaProduct: CellOracle = {
  perMemory: ['k_proj', 'v_proj', 'b_proj', 'a_proj'],
  scan(parameters, config, x, state) {
    const tokens = x.shape[0]!;
    const heads = setting(config, 'num_heads', 6);
    const valueHeads = setting(config, 'num_v_heads', heads);
    const steps = setting(config, 'num_householder', 2);
    const q = projectHeads(parameters, 'q', x, heads, state, silu);
    const k = projectHeads(parameters, 'k', x, steps * heads, state, silu);
    const v = projectHeads(parameters, 'v', x, steps * valueHeads, state, silu);
    const toSteps = (rows: NdArray, width: number): NdArray =>
      reshape(rows, [tokens * steps, rows.data.length / (tokens * steps * width), width]);
    const strongest = setting(config, 'allow_neg_eigval', true) ? 2 : 1;
    const beta = reshape(
      map(linear(x, parameter(parameters, 'b_proj.weight')), (b) => strongest * sigmoid(b)),
      [tokens * steps, valueHeads],
    );
    const logDecay = setting(config, 'use_forget_gate', true)
      ? mambaLogDecay(
          linear(x, parameter(parameters, 'a_proj.weight')),
          parameter(parameters, 'A_log'),
          parameter(parameters, 'dt_bias'),
        )
      : undefined;
    const dk = q.heads.shape[2]!;
    const queries = repeatHeads(l2Norm(q.heads), valueHeads / heads);
    const keys = repeatHeads(toSteps(l2Norm(k.heads), dk), valueHeads / heads);
    const values = toSteps(v.heads, v.heads.shape[2]!);
    const { o, recurrent } = overHeads(valueHeads, state?.recurrent, (h, initialState) =>
      scanProduct({
        q: map(headOf(queries, h), (value) => value / Math.sqrt(dk)),
        k: headOf(keys, h),
        v: headOf(values, h),
        beta: headOf(beta, h),
        logDecay: logDecay && headOf(logDecay, h),
        initialState,
      }),
    );
    const windows = { ...q.window, ...k.window, ...v.window };
    return { o, state: { recurrent, windows, position: (state?.position ?? 0) + tokens } };
  },
  readout(parameters, config, o, x) {
    const weight = parameter(parameters, 'o_norm.weight');
    const epsilon = setting(config, 'norm_eps', 1e-5);
    if (!setting(config, 'use_output_gate', true))
      return projectOutput(parameters, rmsNorm(o, weight, epsilon));
    const gate = linear(x, parameter(parameters, 'g_proj.weight'));
    return projectOutput(parameters, gatedRmsNorm(o, gate, weight, epsilon));
  },
};
