/** Gated slot attention as fla's layer computes it: m slots a head, whose keys and values forget alike. */
import { at, headOf, joinHeads, linear, map, nd, reshape, stack, type NdArray } from './array.ts';
import { rmsNorm, silu, softmax, softplus } from './blocks.ts';
import { parameter, projectHeads, projectOutput, setting, type CellOracle, type CellState } from './cells.ts';
import { addOuter, read, readKeys, scaleRows, token } from './recurrence.ts';
import { queryKeyActivations } from './simple-gla-cell.ts';

/** One head's memory: keys K̃ᵀ [m, dk] and values Ṽ [m, dv] of its slots. */
interface Slots {
  readonly keys: NdArray;
  readonly values: NdArray;
}

/** One head: q, k [T, dk], v [T, dv], f [T, m]; moves the slots, and returns what is read [T, dv]. */
function scanHead({ keys, values }: Slots, { q, k, v, f }: Record<'q' | 'k' | 'v' | 'f', NdArray>): NdArray {
  const slots = f.shape[1]!;
  const [dk, dv] = [k.shape[1]!, v.shape[1]!];
  const output = nd(v.shape);
  for (let t = 0; t < v.shape[0]!; t++) {
    const decay = token(f, t).map(Math.exp);
    const share = token(f, t).map((value) => -Math.expm1(value));
    scaleRows(keys.data, decay, dk);
    addOuter(keys.data, share, token(k, t));
    scaleRows(values.data, decay, dv);
    addOuter(values.data, share, token(v, t));
    const fits = readKeys(keys.data, token(q, t), slots);
    output.data.set(read(values.data, softmax(nd([slots], fits)).data, dv), t * dv);
  }
  return output;
}

/** K̃ ← K̃ Diag(e^f) + k sᵀ, Ṽ ← Diag(e^f) Ṽ + s vᵀ, o = Ṽᵀ softmax(K̃ᵀ q), with s = 1 − e^f. */
export const gsa: CellOracle = {
  perMemory: ['k_proj', 'v_proj', 'f_proj'],
  scan(parameters, config, x, state) {
    const tokens = x.shape[0]!;
    const heads = setting(config, 'num_heads', 4);
    const featureMap = queryKeyActivations[setting(config, 'feature_map', 'silu' as const)];
    const convolved = parameters['q_conv1d.weight'] ? silu : queryKeyActivations.identity;
    const activated = (value: number): number => featureMap(convolved(value));
    const q = projectHeads(parameters, 'q', x, heads, state, activated);
    const k = projectHeads(parameters, 'k', x, heads, state, activated);
    const v = projectHeads(parameters, 'v', x, heads, state, (value) => silu(convolved(value)));
    const logits = linear(x, parameter(parameters, 'f_proj.weight'));
    const [temperature, least] = [
      setting(config, 'gate_logit_normalizer', 8),
      setting(config, 'clamp_min', -Infinity),
    ];
    const f = reshape(
      map(logits, (value) => Math.max(-softplus(-value) / temperature, least)),
      [tokens, heads, logits.shape[1]! / heads],
    );
    const slots = f.shape[2]!;

    const results = Array.from({ length: heads }, (_, h) => {
      const from = (states: NdArray | undefined, width: number): NdArray =>
        nd([slots, width], states && at(states, h).data);
      const memory = {
        keys: from(state?.recurrent, k.heads.shape[2]!),
        values: from(state?.more?.['values'], v.heads.shape[2]!),
      };
      const inputs = { q: q.heads, k: k.heads, v: v.heads, f };
      const ofHead = Object.fromEntries(Object.entries(inputs).map(([name, all]) => [name, headOf(all, h)]));
      return { ...memory, o: scanHead(memory, ofHead as typeof inputs) };
    });
    const outputs = joinHeads(
      results.map(({ o }) => o),
      1,
      heads,
    );
    const next: CellState = {
      recurrent: stack(results.map(({ keys }) => keys)),
      more: { values: stack(results.map(({ values }) => values)) },
      windows: { ...q.window, ...k.window, ...v.window },
      position: (state?.position ?? 0) + tokens,
    };
    return { o: at(outputs, 0), state: next };
  },
  readout(parameters, config, o) {
    const joined = map(reshape(o, [o.shape[0]!, o.data.length / o.shape[0]!]), silu);
    const weight = parameter(parameters, 'g_norm.weight');
    return projectOutput(parameters, rmsNorm(joined, weight, setting(config, 'norm_eps', 1e-5)));
  },
};
