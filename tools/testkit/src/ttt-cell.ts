/** The layer around TTT-linear, one token at a time. */
import { at, headOf, map, reshape, rows, stack, type NdArray } from './array.ts';
import { rotary } from './blocks.ts';
import { parameter, projectHeads, setting, type CellOracle } from './cells.ts';
import { gatedReadout, joinOutputs, sigmoidGate, throughInnerNorm } from './inner-loss.ts';
import { tttLinear } from './ttt.ts';

/** x [T, H, D] rotated by each token's place in its mini-batch, the first being at `position`. */
function rotateInMiniBatch(x: NdArray, position: number, miniBatch: number): NdArray {
  const tokens = Array.from({ length: x.shape[0]! }, (_, t) =>
    rotary(rows(x, t, t + 1), (position + t) % miniBatch),
  );
  return reshape(stack(tokens), x.shape);
}

/**
 * Beside the parameters: `num_heads`, `mini_batch`, `step_size`, `rotary`. The state's `recurrent` is W
 * [H, D, D] at the start of the mini-batch.
 */
export const tttLinearCell: CellOracle = {
  perMemory: ['k_proj', 'v_proj', 'eta_proj'],
  scan(parameters, config, x, state) {
    const heads = setting(config, 'num_heads', 4);
    const miniBatch = setting(config, 'mini_batch', 16);
    const position = state?.position ?? 0;
    const identity = (value: number): number => value;
    const q = projectHeads(parameters, 'q', x, heads, state, identity);
    const k = projectHeads(parameters, 'k', x, heads, state, identity);
    const v = projectHeads(parameters, 'v', x, heads, state, identity);
    const turned = (rowsOfHeads: NdArray): NdArray =>
      setting(config, 'rotary', true) ? rotateInMiniBatch(rowsOfHeads, position, miniBatch) : rowsOfHeads;
    const [queries, keys] = [turned(q.heads), turned(k.heads)];
    const largest = setting(config, 'step_size', 1) / v.heads.shape[2]!;
    const eta = map(sigmoidGate(parameters, 'eta_proj', x), (value) => largest * value);

    const results = Array.from({ length: heads }, (_, h) => {
      const carried = (name: string): NdArray | undefined => state?.more?.[name] && at(state.more[name], h);
      return tttLinear(
        {
          q: headOf(queries, h),
          k: headOf(keys, h),
          v: headOf(v.heads, h),
          eta: headOf(eta, h),
          normWeight: at(parameter(parameters, 'ttt_norm.weight'), h),
          normBias: at(parameter(parameters, 'ttt_norm.bias'), h),
          initialState: {
            weight: at(state?.recurrent ?? parameter(parameters, 'W1'), h),
            bias: carried('bias') ?? at(parameter(parameters, 'b1'), h),
            ...(state && {
              weightGradient: carried('weightGradient')!,
              biasGradient: carried('biasGradient')!,
              phase: position % miniBatch,
            }),
          },
        },
        { miniBatch },
      );
    });
    const states = results.map(({ finalState }) => finalState);
    return {
      o: throughInnerNorm(parameters, 'ttt_norm', joinOutputs(results.map(({ output }) => output))),
      state: {
        recurrent: stack(states.map(({ weight }) => weight)),
        more: {
          bias: stack(states.map(({ bias }) => bias)),
          weightGradient: stack(states.map(({ weightGradient }) => weightGradient)),
          biasGradient: stack(states.map(({ biasGradient }) => biasGradient)),
        },
        windows: { ...q.window, ...k.window },
        position: position + x.shape[0]!,
      },
    };
  },
  readout: gatedReadout,
};
