// The moving average in float64, token by token.
import {
  headOf,
  linear,
  map,
  nd,
  overHeads,
  parameter,
  projectOutput,
  diagonalDecay,
  reshape,
  rmsNorm,
  setting,
  sigmoid,
  type CellOracle,
} from '@mnemix/testkit';

export const movingAverageOracle: CellOracle = {
  perMemory: ['k_proj', 'v_proj'],
  scan(parameters, config, x, state) {
    const heads = setting(config, 'num_heads', 1);
    const tokens = x.shape[0]!;
    const project = (name: string) => {
      const y = linear(x, parameter(parameters, `${name}_proj.weight`));
      return reshape(y, [tokens, heads, y.shape[1]! / heads]);
    };
    const [q, k, v] = [project('q'), project('k'), project('v')];
    const rates = Array.from(parameter(parameters, 'rate').data, sigmoid);
    const { o, recurrent } = overHeads(heads, state?.recurrent, (h, initialState) =>
      diagonalDecay({
        q: map(headOf(q, h), (value) => value / Math.sqrt(q.shape[2]!)),
        k: map(headOf(k, h), (value) => (1 - rates[h]!) * value),
        v: headOf(v, h),
        logDecay: map(nd([tokens]), () => Math.log(rates[h]!)),
        initialState,
      }),
    );
    return { o, state: { recurrent, windows: {}, position: (state?.position ?? 0) + tokens } };
  },
  readout: (parameters, config, o) =>
    projectOutput(
      parameters,
      rmsNorm(o, parameter(parameters, 'norm.weight'), setting(config, 'norm_eps', 1e-5)),
    ),
};
