// The value-decay scan in float64, one head, token by token as it is defined; and its gradients, from the
// last token to the first. S_t = S_{t−1} Diag(e^{g_t}) + k_t v_tᵀ, o_t = S_tᵀ q_t.
import { nd, type NdArray } from '@mnemix/testkit';
import type { Arrays } from './op-cases.ts';
import type { OneHead, OneHeadResult } from './scan-cases.ts';

interface Sizes {
  readonly tokens: number;
  readonly dk: number;
  readonly dv: number;
}

const sizesOf = ({ q, v }: Arrays): Sizes => ({
  tokens: q!.shape[0]!,
  dk: q!.shape[1]!,
  dv: v!.shape[1]!,
});

/** o [T, dv], and the state [dk, dv] before each token and after the last. */
export function valueDecayForward(inputs: Arrays): { o: NdArray; states: NdArray[] } {
  const { tokens, dk, dv } = sizesOf(inputs);
  const { q, k, v, logDecay, initialState } = inputs as Record<string, NdArray>;
  const o = nd([tokens, dv]);
  const states = [nd([dk, dv], initialState?.data)];
  for (let t = 0; t < tokens; t++) {
    const state = nd([dk, dv], states[t]!.data);
    for (let i = 0; i < dk; i++) {
      for (let j = 0; j < dv; j++) {
        state.data[i * dv + j]! *= Math.exp(logDecay!.data[t * dv + j]!);
        state.data[i * dv + j]! += k!.data[t * dk + i]! * v!.data[t * dv + j]!;
        o.data[t * dv + j]! += state.data[i * dv + j]! * q!.data[t * dk + i]!;
      }
    }
    states.push(state);
  }
  return { o, states };
}

/** Outputs, and the gradients of Σ o·dO + Σ state·dState. */
export function valueDecayOracle({ inputs, dO, dState }: OneHead): OneHeadResult {
  const { tokens, dk, dv } = sizesOf(inputs);
  const { q, k, v, logDecay } = inputs as Record<string, NdArray>;
  const { o, states } = valueDecayForward(inputs);
  const [dQ, dK, dV, dG] = [nd([tokens, dk]), nd([tokens, dk]), nd([tokens, dv]), nd([tokens, dv])];
  const dS = nd([dk, dv], dState.data);
  for (let t = tokens - 1; t >= 0; t--) {
    for (let i = 0; i < dk; i++) {
      for (let j = 0; j < dv; j++) {
        const [at, row, column] = [i * dv + j, t * dk + i, t * dv + j];
        const decay = Math.exp(logDecay!.data[column]!);
        dS.data[at]! += q!.data[row]! * dO.data[column]!;
        dQ.data[row]! += states[t + 1]!.data[at]! * dO.data[column]!;
        dK.data[row]! += dS.data[at]! * v!.data[column]!;
        dV.data[column]! += dS.data[at]! * k!.data[row]!;
        dG.data[column]! += dS.data[at]! * decay * states[t]!.data[at]!;
        dS.data[at]! *= decay;
      }
    }
  }
  return {
    o,
    state: states[tokens]!,
    gradients: { q: dQ, k: dK, v: dV, logDecay: dG, initialState: dS },
  };
}
