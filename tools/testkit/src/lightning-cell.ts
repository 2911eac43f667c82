/** Lightning attention: S ← e^{−s_h} S + k vᵀ with constant slopes s_h, fla's or ALiBi's. */
import { map, nd } from './array.ts';
import { silu } from './blocks.ts';
import { projectHeads, setting, type CellOracle } from './cells.ts';
import { normedReadout, queryKeyActivations, scanScalarDecay } from './simple-gla-cell.ts';

export const lightning: CellOracle = {
  perMemory: ['k_proj', 'v_proj'],
  scan(parameters, config, x, state) {
    const heads = setting(config, 'num_heads', 4);
    const [layer, layers] = [setting(config, 'layer_idx', 0), setting(config, 'num_hidden_layers', 1)];
    const activation =
      queryKeyActivations[setting<keyof typeof queryKeyActivations>(config, 'qk_activation', 'silu')];
    const { identity } = queryKeyActivations;
    const q = projectHeads(parameters, 'q', x, heads, state, activation);
    const k = projectHeads(parameters, 'k', x, heads, state, activation);
    const v = projectHeads(parameters, 'v', x, heads, state, parameters['v_conv1d.weight'] ? silu : identity);
    const slope = (h: number): number =>
      setting<string>(config, 'slopes', 'fla') === 'alibi'
        ? Math.pow(2, (-8 * (h + 1)) / heads)
        : (8 * h * (layers - layer)) / (heads * layers);
    const logDecay = map(nd([x.shape[0]!, heads]), (_, i) => -slope(i % heads));
    const inputs = { q: q.heads, k: k.heads, v: v.heads, logDecay };
    const { o, recurrent } = scanScalarDecay(inputs, state?.recurrent);
    const windows = { ...q.window, ...k.window, ...v.window };
    return { o, state: { recurrent, windows, position: (state?.position ?? 0) + x.shape[0]! } };
  },
  readout: (parameters, config, o, x) =>
    normedReadout(
      parameters,
      setting(config, 'norm_eps', 1e-5),
      setting(config, 'use_output_gate', false),
      o,
      x,
    ),
};
