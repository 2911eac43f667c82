// The float64 oracles of the scans under the ops' names, one head at a time.
import {
  deltaRule,
  deltaRuleBackward,
  diagonalDecay,
  diagonalDecayBackward,
  dplr,
  dplrBackward,
  nd,
  type NdArray,
} from '@mnemix/testkit';
import type { Arrays } from './op-cases.ts';
import type { OneHead, OneHeadResult } from './scan-cases.ts';

export function diagonalDecayOracle({ inputs, dO, dState }: OneHead): OneHeadResult {
  const arrays = inputs as Parameters<typeof diagonalDecay>[0] & Arrays;
  const { output, finalState } = diagonalDecay(arrays);
  return {
    o: output,
    state: finalState,
    gradients: { ...diagonalDecayBackward(arrays, dO, dState) } as Arrays,
  };
}

export function diagonalPlusLowRankOracle({ inputs, dO, dState }: OneHead): OneHeadResult {
  const arrays = inputs as Parameters<typeof dplr>[0] & Arrays;
  const { output, finalState } = dplr(arrays);
  return { o: output, state: finalState, gradients: { ...dplrBackward(arrays, dO, dState) } as Arrays };
}

/** The oracle with y = βv and e = β·erase, and its gradients taken back to v, β and the erase key. */
export function deltaRuleOracle({ inputs, dO, dState }: OneHead, eraseBeforeDecay: boolean): OneHeadResult {
  const { q, k, v, beta, erase, logDecay, initialState } = inputs as Record<string, NdArray>;
  const key = erase ?? k!;
  const scaled = (x: NdArray) =>
    nd(
      x.shape,
      x.data.map((value, i) => value * (beta?.data[Math.floor(i / x.shape[1]!)] ?? 1)),
    );
  const arrays = {
    q: q!,
    k: k!,
    y: scaled(v!),
    e: scaled(key),
    logDecay,
    initialState,
    erase: eraseBeforeDecay ? ('undecayed' as const) : ('decayed' as const),
  };
  const { output, finalState } = deltaRule(arrays);
  const gradients = deltaRuleBackward(arrays, dO, dState);
  const products = (a: NdArray, b: NdArray, t: number) => {
    const width = a.shape[1]!;
    return a.data
      .subarray(t * width, (t + 1) * width)
      .reduce((sum, x, i) => sum + x * b.data[t * width + i]!, 0);
  };
  const dErase = scaled(gradients.e);
  return {
    o: output,
    state: finalState,
    gradients: {
      q: gradients.q,
      k: erase
        ? gradients.k
        : nd(
            k!.shape,
            gradients.k.data.map((x, i) => x + dErase.data[i]!),
          ),
      v: scaled(gradients.y),
      beta:
        beta &&
        nd(
          beta.shape,
          beta.data.map((_, t) => products(gradients.y, v!, t) + products(gradients.e, key, t)),
        ),
      erase: dErase,
      logDecay: gradients.logDecay,
      initialState: gradients.initialState,
    } as Arrays,
  };
}
