/** The layer around Titans with a linear memory, one token at a time. */
import { at, headOf, stack } from './array.ts';
import { l2Norm, silu } from './blocks.ts';
import { parameter, projectHeads, setting, type CellOracle } from './cells.ts';
import { gatedReadout, joinOutputs, sigmoidGate, throughInnerNorm } from './inner-loss.ts';
import { titans } from './titans.ts';

/**
 * Beside the parameters: `num_heads`, `chunk_size`; without `eta_proj` there is no momentum. The state's
 * `recurrent` is M [H, D, D].
 */
export const titansCell: CellOracle = {
  perMemory: ['k_proj', 'v_proj', 'alpha_proj', 'theta_proj', 'eta_proj'],
  scan(parameters, config, x, state) {
    const heads = setting(config, 'num_heads', 4);
    const chunkSize = setting(config, 'chunk_size', 16);
    const position = state?.position ?? 0;
    const activation = parameters['q_conv1d.weight'] ? silu : (value: number): number => value;
    const q = projectHeads(parameters, 'q', x, heads, state, activation);
    const k = projectHeads(parameters, 'k', x, heads, state, activation);
    const v = projectHeads(parameters, 'v', x, heads, state, activation);
    const [queries, keys] = [l2Norm(q.heads), l2Norm(k.heads)];
    const alpha = sigmoidGate(parameters, 'alpha_proj', x);
    const theta = sigmoidGate(parameters, 'theta_proj', x);
    const eta = parameters['eta_proj.weight'] && sigmoidGate(parameters, 'eta_proj', x);

    const results = Array.from({ length: heads }, (_, h) =>
      titans(
        {
          q: headOf(queries, h),
          k: headOf(keys, h),
          v: headOf(v.heads, h),
          alpha: headOf(alpha, h),
          theta: headOf(theta, h),
          eta: eta && headOf(eta, h),
          normWeight: at(parameter(parameters, 'titans_norm.weight'), h),
          normBias: at(parameter(parameters, 'titans_norm.bias'), h),
          initialState: {
            memory: at(state?.recurrent ?? parameter(parameters, 'M0'), h),
            ...(state && {
              momentum: at(state.more!['momentum']!, h),
              anchor: at(state.more!['anchor']!, h),
              phase: position % chunkSize,
            }),
          },
        },
        { chunkSize },
      ),
    );
    const states = results.map(({ finalState }) => finalState);
    return {
      o: throughInnerNorm(parameters, 'titans_norm', joinOutputs(results.map(({ output }) => output))),
      state: {
        recurrent: stack(states.map(({ memory }) => memory)),
        more: {
          momentum: stack(states.map(({ momentum }) => momentum)),
          anchor: stack(states.map(({ anchor }) => anchor)),
        },
        windows: { ...q.window, ...k.window, ...v.window },
        position: position + x.shape[0]!,
      },
    };
  },
  readout: gatedReadout,
};
