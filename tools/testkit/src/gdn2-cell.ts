/** GDN-2 as fla's layer computes it: S ← (I − k (b ⊙ k)ᵀ) Diag(e^g) S + k (w ⊙ v)ᵀ. */
import { linear, map, reshape, zipWith } from './array.ts';
import { l2Norm, sigmoid, silu } from './blocks.ts';
import { parameter, projectHeads, repeatHeads, setting, type CellOracle } from './cells.ts';
import { channelLogDecay, lowRankGatedReadout, scanDeltaHeads } from './kda-cell.ts';

export const gdn2: CellOracle = {
  perMemory: ['k_proj', 'v_proj', 'f_proj', 'b_proj', 'w_proj'],
  scan(parameters, config, x, state) {
    const heads = setting(config, 'num_heads', 16);
    const valueHeads = setting(config, 'num_v_heads', heads);
    const group = valueHeads / heads;
    const q = projectHeads(parameters, 'q', x, heads, state, silu);
    const k = projectHeads(parameters, 'k', x, heads, state, silu);
    const v = projectHeads(parameters, 'v', x, valueHeads, state, silu);
    const strongest = setting(config, 'allow_neg_eigval', false) ? 2 : 1;
    const b = map(linear(x, parameter(parameters, 'b_proj.weight')), (value) => strongest * sigmoid(value));
    const w = map(linear(x, parameter(parameters, 'w_proj.weight')), sigmoid);
    const keys = l2Norm(k.heads);
    const bound = setting(config, 'safe_gate', false) ? setting(config, 'gate_lower_bound', -5) : undefined;
    const { o, recurrent } = scanDeltaHeads(
      {
        q: repeatHeads(l2Norm(q.heads), group),
        k: repeatHeads(keys, group),
        e: repeatHeads(
          zipWith(keys, reshape(b, keys.shape), (key, gate) => gate * key),
          group,
        ),
        y: zipWith(v.heads, reshape(w, v.heads.shape), (value, gate) => gate * value),
        logDecay: repeatHeads(channelLogDecay(parameters, x, bound), group),
      },
      state?.recurrent,
    );
    const windows = { ...q.window, ...k.window, ...v.window };
    return { o, state: { recurrent, windows, position: (state?.position ?? 0) + x.shape[0]! } };
  },
  readout: lowRankGatedReadout,
};
