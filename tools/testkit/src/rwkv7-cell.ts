/** RWKV-7 as fla's layer computes it: diagonal plus low rank. Its layers differ by `layer_idx`. */
import { headOf, linear, map, mapVectors, reshape, zipWith, type NdArray } from './array.ts';
import { l2Norm, sigmoid } from './blocks.ts';
import { overHeads, parameter, projectOutput, setting, type CellOracle } from './cells.ts';
import { dplr } from './engines.ts';
import { besideHeads, convolve, groupNorm, lowRank, mixTokens, shiftTokens, splitHeads } from './rwkv.ts';

const identity = (value: number): number => value;
const timesChannels = (rows: NdArray, channels: NdArray): NdArray =>
  map(rows, (value, i) => value * channels.data[i % channels.data.length]!);

/**
 * S ← Diag(e^w) S − (κ ⊙ α)(κᵀS) + k vᵀ, o = Sᵀ r; a token's own part (Σ_c r k r_k) v and the gate ride in
 * o's later thirds. `first_values` [T, H·dv] of the configuration, if there, pull the values of a layer that
 * has `v_lora` towards them.
 */
export const rwkv7: CellOracle = {
  perMemory: ['k_proj', 'v_proj', 'w_lora', 'a_lora', 'v_lora'],
  scan(parameters, config, x, state) {
    const heads = setting(config, 'num_heads', 1);
    const tokens = shiftTokens(x, state);
    const seenBy = (name: string): NdArray => mixTokens(tokens, parameter(parameters, `x_${name}`));
    const project = (name: string): NdArray =>
      linear(seenBy(name), parameter(parameters, `${name}_proj.weight`));
    const perHead = (rows: NdArray): NdArray => reshape(rows, [x.shape[0]!, heads, rows.shape[1]! / heads]);
    const r = convolve(parameters, 'r', project('r'), state);
    const rawKey = convolve(parameters, 'k', project('k'), state);
    const rawValue = convolve(parameters, 'v', project('v'), state);

    const w = map(
      lowRank(parameters, 'w_lora', seenBy('w'), Math.tanh),
      (f) => -0.6065306597126334 * sigmoid(f),
    );
    const alpha = map(lowRank(parameters, 'a_lora', seenBy('a'), identity), sigmoid);
    const gate = lowRank(parameters, 'g_lora', seenBy('g'), sigmoid);
    const first = setting<NdArray | undefined>(config, 'first_values', undefined);
    const pull = first && map(lowRank(parameters, 'v_lora', seenBy('v'), identity), sigmoid);
    const v = map(rawValue.y, (value, i) =>
      first && pull ? (1 - pull.data[i]!) * value + pull.data[i]! * first.data[i]! : value,
    );
    const kappa = l2Norm(perHead(timesChannels(rawKey.y, parameter(parameters, 'k_k'))));
    const written = timesChannels(
      map(alpha, (value) => value - 1),
      parameter(parameters, 'k_a'),
    );
    const k = zipWith(rawKey.y, written, (key, change) => key * (1 + change));

    const scanned = overHeads(heads, state?.recurrent, (h, initialState) =>
      dplr({
        q: headOf(perHead(r.y), h),
        k: headOf(perHead(k), h),
        v: headOf(perHead(v), h),
        a: map(headOf(kappa, h), (value) => -value),
        b: headOf(
          zipWith(kappa, perHead(alpha), (erase, rate) => erase * rate),
          h,
        ),
        logDecay: headOf(perHead(w), h),
        initialState,
      }),
    );
    const products = perHead(
      timesChannels(
        zipWith(r.y, k, (a, b) => a * b),
        parameter(parameters, 'r_k'),
      ),
    );
    const weights = mapVectors(products, (vector) => [vector.reduce((sum, value) => sum + value, 0)], 1);
    const width = v.shape[1]! / heads;
    const own = map(perHead(v), (value, i) => value * weights.data[Math.floor(i / width)]!);
    return {
      o: besideHeads([scanned.o, own, perHead(gate)]),
      state: {
        recurrent: scanned.recurrent,
        windows: { ...r.window, ...rawKey.window, ...rawValue.window },
        position: (state?.position ?? 0) + x.shape[0]!,
        more: { last: tokens.last },
      },
    };
  },
  readout(parameters, config, o) {
    const [read, own, gate] = splitHeads(o, 3) as [NdArray, NdArray, NdArray];
    const keyWidth = parameter(parameters, 'r_k').shape[1]!;
    const normed = groupNorm(parameters, read, keyWidth * setting(config, 'norm_eps', 1e-5));
    const sum = zipWith(normed, own, (a, b) => a + b);
    return projectOutput(
      parameters,
      zipWith(sum, gate, (a, b) => a * b),
    );
  },
};
