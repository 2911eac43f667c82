/**
 * Log-linear Mamba-2 and Gated DeltaNet: the cells that they are made of, with a memory for each level of the
 * past, read with λ_t^(ℓ) = softplus(L_hℓ · dl_tℓ).
 */
import { headOf, linear, map, reshape, type NdArray } from './array.ts';
import { l2Norm, mambaLogDecay, sigmoid, silu, softplus } from './blocks.ts';
import {
  overHeads,
  parameter,
  projectHeads,
  repeatHeads,
  setting,
  type CellOracle,
  type CellState,
  type Parameters,
} from './cells.ts';
import { gatedDeltaNet } from './delta-cells.ts';
import { logLinear } from './log-linear.ts';
import { mamba2With } from './mamba2-cell.ts';

/** λ [T, H, levels] of dl [T, H·levels]. */
function levelScales(parameters: Parameters, dl: NdArray): NdArray {
  const weight = parameter(parameters, 'L');
  const scales = map(dl, (value, i) => softplus(weight.data[i % weight.data.length]! * value));
  return reshape(scales, [dl.shape[0]!, ...weight.shape]);
}

interface LevelInputs {
  readonly q: NdArray;
  readonly k: NdArray;
  readonly v: NdArray;
  readonly logDecay: NdArray;
  readonly levelScales: NdArray;
  readonly beta?: NdArray;
}

/** All heads: q, k [T, H, dk], v [T, H, dv], g and β [T, H], λ [T, H, L] → o [T, H, dv], S [H, L, dk, dv]. */
function scanLevels(
  { q, k, v, logDecay, levelScales: scales, beta }: LevelInputs,
  scale: number,
  state: CellState | undefined,
): { o: NdArray; recurrent: NdArray } {
  return overHeads(v.shape[1]!, state?.recurrent, (h, memory) => {
    const result = logLinear({
      q: map(headOf(q, h), (value) => scale * value),
      k: headOf(k, h),
      v: headOf(v, h),
      logDecay: headOf(logDecay, h),
      levelScales: headOf(scales, h),
      beta: beta && headOf(beta, h),
      memory,
      position: state?.position,
    });
    return { output: result.output, finalState: result.memory };
  });
}

/** dl is what in_proj has behind dt. */
export const logLinearMamba2: CellOracle = mamba2With((inputs, state, dl, parameters) =>
  scanLevels({ ...inputs, levelScales: levelScales(parameters, dl) }, 1, state),
);

/** dl = W_l x. */
export const logLinearGdn: CellOracle = {
  perMemory: gatedDeltaNet.perMemory,
  scan(parameters, config, x, state) {
    const heads = setting(config, 'num_heads', 6);
    const groups = setting(config, 'num_v_heads', heads) / heads;
    const q = projectHeads(parameters, 'q', x, heads, state, silu);
    const k = projectHeads(parameters, 'k', x, heads, state, silu);
    const v = projectHeads(parameters, 'v', x, heads * groups, state, silu);
    const projected = (name: string) => linear(x, parameter(parameters, `${name}.weight`));
    const strength = setting(config, 'allow_neg_eigval', false) ? 2 : 1;
    const { o, recurrent } = scanLevels(
      {
        q: repeatHeads(l2Norm(q.heads), groups),
        k: repeatHeads(l2Norm(k.heads), groups),
        v: v.heads,
        logDecay: mambaLogDecay(
          projected('a_proj'),
          parameter(parameters, 'A_log'),
          parameter(parameters, 'dt_bias'),
        ),
        beta: map(projected('b_proj'), (b) => strength * sigmoid(b)),
        levelScales: levelScales(parameters, projected('l_proj')),
      },
      q.heads.shape[2]! ** -0.5,
      state,
    );
    const windows = { ...q.window, ...k.window, ...v.window };
    return { o, state: { recurrent, windows, position: (state?.position ?? 0) + x.shape[0]! } };
  },
  readout: gatedDeltaNet.readout,
};
