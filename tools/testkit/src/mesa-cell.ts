/** MesaNet as fla's layer computes it: the ridge regression of all that it was told, solved for each token. */
import { at, headOf, linear, map, reshape, stack } from './array.ts';
import { gatedRmsNorm, l2Norm, rmsNorm, sigmoid, silu, softplus } from './blocks.ts';
import { overHeads, parameter, projectHeads, projectOutput, setting, type CellOracle } from './cells.ts';
import { mesa } from './mesa.ts';

/**
 * H_kk ← e^g H_kk + β k kᵀ, H_kv ← e^g H_kv + β k vᵀ, o = H_kvᵀ (H_kk + Diag λ)^{-1} q. The state's
 * `recurrent` is H_kv, and H_kk is its `keys`.
 */
export const mesaNet: CellOracle = {
  perMemory: ['k_proj', 'v_proj', 'a_proj', 'b_proj'],
  scan(parameters, config, x, state) {
    const heads = setting(config, 'num_heads', 16);
    const affine = (name: string) =>
      linear(x, parameter(parameters, `${name}.weight`), parameter(parameters, `${name}.bias`));
    const q = projectHeads(parameters, 'q', x, heads, state, silu);
    const k = projectHeads(parameters, 'k', x, heads, state, silu);
    const v = projectHeads(parameters, 'v', x, heads, state, (value) => value);
    const [queries, keys] = [l2Norm(q.heads), l2Norm(k.heads)];
    const [logDecay, beta] = [map(affine('a_proj'), (a) => -softplus(-a)), map(affine('b_proj'), sigmoid)];
    const least = setting(config, 'lambda_lower_bound', 0.25);
    const ridges = reshape(
      map(parameter(parameters, 'lambda_params'), (value) => least + softplus(value)),
      [heads, keys.shape[2]!],
    );
    const keyStates: (typeof ridges)[] = [];
    const { o, recurrent } = overHeads(heads, state?.recurrent, (h, values) => {
      const { output, finalState } = mesa({
        q: headOf(queries, h),
        k: headOf(keys, h),
        v: headOf(v.heads, h),
        beta: headOf(beta, h),
        logDecay: headOf(logDecay, h),
        ridge: at(ridges, h),
        initialState: state && { values: values!, keys: at(state.more!['keys']!, h) },
      });
      keyStates.push(finalState.keys);
      return { output, finalState: finalState.values };
    });
    return {
      o,
      state: {
        recurrent,
        more: { keys: stack(keyStates) },
        windows: { ...q.window, ...k.window },
        position: (state?.position ?? 0) + x.shape[0]!,
      },
    };
  },
  readout(parameters, config, o, x) {
    const weight = parameter(parameters, 'o_norm.weight');
    const epsilon = setting(config, 'norm_eps', 1e-5);
    if (!setting(config, 'use_output_gate', false))
      return projectOutput(parameters, rmsNorm(o, weight, epsilon));
    const gate = linear(x, parameter(parameters, 'g_proj.weight'));
    return projectOutput(parameters, gatedRmsNorm(o, gate, weight, epsilon));
  },
};
