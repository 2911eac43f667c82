/** RWKV-6 as fla's layer computes it: a diagonal decay that is read before the update, plus a bonus. */
import { at, headOf, linear, map, mapVectors, nd, reshape, type NdArray } from './array.ts';
import { overHeads, parameter, projectOutput, setting, type CellOracle } from './cells.ts';
import { diagonalDecay } from './engines.ts';
import {
  besideHeads,
  convolve,
  groupNorm,
  lowRank,
  mixTokens,
  shiftTokens,
  siluGate,
  splitHeads,
} from './rwkv.ts';

const streams = ['r', 'w', 'k', 'v', 'g'] as const;

/**
 * o = (S + Diag(u) k vᵀ)ᵀ r, then S ← Diag(e^w) S + k vᵀ with w = −e^{LoRA(x_w)}; the gate rides in o's
 * second half.
 */
export const rwkv6: CellOracle = {
  perMemory: ['k_proj', 'v_proj', 'w_proj'],
  scan(parameters, config, x, state) {
    const heads = setting(config, 'num_heads', 4);
    const tokens = shiftTokens(x, state);
    const mixed = mixTokens(tokens, parameter(parameters, 'x_proj.0.mu'));
    const low = map(linear(mixed, parameter(parameters, 'x_proj.0.linear.weight')), Math.tanh);
    const seen = streams.map((_, n) =>
      mixTokens(
        tokens,
        mixOf(low, parameter(parameters, 'x_proj.2.weight'), parameter(parameters, 'x_bias'), n),
      ),
    );
    const [seenByR, seenByW, seenByK, seenByV, seenByG] = seen as [
      NdArray,
      NdArray,
      NdArray,
      NdArray,
      NdArray,
    ];
    const project = (name: string, rows: NdArray): NdArray =>
      linear(rows, parameter(parameters, `${name}_proj.linear.weight`));
    const r = convolve(parameters, 'r', project('r', seenByR), state);
    const k = convolve(parameters, 'k', project('k', seenByK), state);
    const v = convolve(parameters, 'v', project('v', seenByV), state);
    const w = map(lowRank(parameters, 'w_proj.linear', seenByW, Math.tanh), (value) => -Math.exp(value));
    const perHead = (rows: NdArray): NdArray => reshape(rows, [x.shape[0]!, heads, rows.shape[1]! / heads]);
    const { o, recurrent } = overHeads(heads, state?.recurrent, (h, initialState) =>
      diagonalDecay({
        q: headOf(perHead(r.y), h),
        k: headOf(perHead(k.y), h),
        v: headOf(perHead(v.y), h),
        logDecay: headOf(perHead(w), h),
        bonus: at(parameter(parameters, 'bonus'), h),
        initialState,
      }),
    );
    return {
      o: besideHeads([o, perHead(project('g', seenByG))]),
      state: {
        recurrent,
        windows: { ...r.window, ...k.window, ...v.window },
        position: (state?.position ?? 0) + x.shape[0]!,
        more: { last: tokens.last },
      },
    };
  },
  readout(parameters, config, o) {
    const [read, gate] = splitHeads(o, 2);
    const normed = groupNorm(parameters, read!, setting(config, 'norm_eps', 1e-5));
    return projectOutput(parameters, siluGate(normed, gate!));
  },
};

/**
 * μ of stream n: W_b[:, n, :] of the n-th part of `low`, and its bias. low [T, 5·rank], weight [d, 5·rank].
 */
function mixOf(low: NdArray, weight: NdArray, bias: NdArray, n: number): NdArray {
  const rank = low.shape[1]! / streams.length;
  const partOf = (a: NdArray): NdArray =>
    mapVectors(a, (vector) => vector.subarray(n * rank, (n + 1) * rank), rank);
  return linear(partOf(low), partOf(weight), nd([weight.shape[0]!], at(bias, n).data));
}
