/** Comba as fla's layer and kernels compute it: S ← e^g S − β k pᵀS + β k vᵀ, o = Sᵀ(q − D p). */
import { linear, map, mapVectors, zipWith, type NdArray } from './array.ts';
import { gatedRmsNorm, l2Norm, mambaLogDecay, rmsNorm, sigmoid, silu } from './blocks.ts';
import { parameter, projectHeads, projectOutput, repeatHeads, setting, type CellOracle } from './cells.ts';
import { scanDeltaHeads, timesHeads } from './kda-cell.ts';

/** x [T, H, width] times a number for each head. */
const perHead = (x: NdArray, factors: (head: number) => number): NdArray =>
  mapVectors(x, (vector, i) => vector.map((value) => factors(i % x.shape[1]!) * value));

export const comba: CellOracle = {
  perMemory: ['k_proj', 'v_proj', 'a_proj', 'b_proj'],
  scan(parameters, config, x, state) {
    const heads = setting(config, 'num_heads', 6);
    const valueHeads = setting(config, 'num_v_heads', heads);
    const group = valueHeads / heads;
    const q = projectHeads(parameters, 'q', x, heads, state, silu);
    const k = projectHeads(parameters, 'k', x, heads, state, silu);
    const v = projectHeads(parameters, 'v', x, valueHeads, state, silu);
    const p = setting(config, 'use_inner_decay', true)
      ? perHead(k.heads, (h) => sigmoid(parameter(parameters, 'decay').data[h]!))
      : k.heads;
    const corrected = setting(config, 'use_output_correction', true)
      ? zipWith(
          q.heads,
          perHead(p, (h) => parameter(parameters, 'D').data[h]!),
          (a, b) => a - b,
        )
      : q.heads;
    const beta = map(linear(x, parameter(parameters, 'b_proj.weight')), sigmoid);
    const a = linear(x, parameter(parameters, 'a_proj.weight'));
    const { o, recurrent } = scanDeltaHeads(
      {
        q: repeatHeads(l2Norm(corrected), group),
        k: repeatHeads(l2Norm(k.heads), group),
        e: timesHeads(repeatHeads(l2Norm(p), group), beta),
        y: timesHeads(v.heads, beta),
        logDecay: mambaLogDecay(a, parameter(parameters, 'A_log'), parameter(parameters, 'dt_bias')),
      },
      state?.recurrent,
      'undecayed',
    );
    const windows = { ...q.window, ...k.window, ...v.window };
    return { o, state: { recurrent, windows, position: (state?.position ?? 0) + x.shape[0]! } };
  },
  readout(parameters, config, o, x) {
    const weight = parameter(parameters, 'o_norm.weight');
    const epsilon = setting(config, 'norm_eps', 1e-5);
    if (!setting(config, 'use_output_gate', true))
      return projectOutput(parameters, rmsNorm(o, weight, epsilon));
    const gate = linear(x, parameter(parameters, 'g_proj.weight'));
    return projectOutput(parameters, gatedRmsNorm(o, gate, weight, epsilon, 'sigmoid'));
  },
};
