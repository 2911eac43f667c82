// What the scores between the tokens of a chunk are weighted with: the decay between the two tokens, and the
// scale of the level in which the later one sees the earlier. Both fill a triangle from a few numbers a
// token.
import {
  add,
  concat,
  cumsum,
  defineOp,
  exp,
  expandDims,
  hostKernel,
  mul,
  slice,
  sub,
  sum,
  tensor,
  transpose,
  type Tensor,
} from '@mnemix/tensor';
import { lowerTriangle } from '../portable/triangular.ts';

const tokenDecayGradientOp = defineOp<{ decay: Tensor; dDecay: Tensor }, { logDecay: Tensor }, object>({
  name: 'TokenDecayGradient',
  outputs: ['logDecay'],
  portable: ({ decay, dDecay }) => {
    // d e^x = e^x dx: a gate gets the sum of all that passes it, which is what ends at or behind it less what
    // begins there.
    const passing = mul(mul(decay, dDecay), lowerTriangle(decay.shape[1] as number));
    const [ending, beginning] = [sum(passing, 2), sum(passing, 1)];
    return { logDecay: expandDims(cumsum(sub(ending, beginning), 1, { reverse: true }), 2) };
  },
  kernels: hostKernel({
    outputs: ({ decay: { shape } }) => [{ shape: [shape[0] as number, shape[1] as number, 1] }],
    run: ({ decay, dDecay }, [logDecay]) => {
      const size = decay.shape[1] as number;
      const out = (logDecay as typeof decay).data;
      const [weights, grads] = [decay.data, dDecay.data];
      const balance = new Float64Array(size);
      for (let first = 0, chunk = 0; first < weights.length; first += size * size, chunk += size) {
        balance.fill(0);
        for (let i = 0, at = first; i < size; i++, at = first + i * size) {
          for (let j = 0; j < i; j++, at++) {
            const passing = (weights[at] as number) * (grads[at] as number);
            balance[i] = (balance[i] as number) + passing;
            balance[j] = (balance[j] as number) - passing;
          }
        }
        for (let i = size - 1, total = 0; i >= 0; i--) {
          total += balance[i] as number;
          out[chunk + i] = total;
        }
      }
    },
  }),
});

const tokenDecayOp = defineOp<{ logDecay: Tensor }, { decay: Tensor }, object>({
  name: 'TokenDecay',
  outputs: ['decay'],
  savedOutputs: ['decay'],
  portable: ({ logDecay }) => {
    const later = lowerTriangle(logDecay.shape[1] as number);
    // [P, m, j]: the gates of the tokens m behind j, summed up to i.
    const sums = cumsum(mul(logDecay, later), 1);
    return { decay: mul(exp(sums), sub(1, transpose(later))) };
  },
  kernels: hostKernel({
    outputs: ({ logDecay: { shape } }) => [
      { shape: [shape[0] as number, shape[1] as number, shape[1] as number] },
    ],
    run: ({ logDecay: { data, shape } }, [decay]) => {
      const size = shape[1] as number;
      const out = (decay as { data: typeof data }).data;
      out.fill(0);
      const running = new Float64Array(size);
      for (let row = 0; row < data.length; row++) {
        const i = row % size;
        const gate = Math.exp(data[row] as number);
        for (let j = 0; j < i; j++) {
          running[j] = (running[j] as number) * gate;
          out[row * size + j] = running[j] as number;
        }
        running[i] = 1;
        out[row * size + i] = 1;
      }
    },
  }),
  gradient: ({ outputs: { decay }, grads }) => tokenDecayGradientOp({ decay, dDecay: grads.decay }, {}),
});

/**
 * e^{b_i − b_j}, the decay from token j to token i of a chunk, for j ≤ i, else 0; b is the running sum of the
 * gates. Only the gates between the two enter, so that an open gate behind a closed one keeps its digits.
 *
 * @param logDecay [P, C, 1]
 * @returns [P, C, C]
 */
export const tokenDecay = (logDecay: Tensor): Tensor => tokenDecayOp({ logDecay }, {}).decay;

/** Level in which token i of a chunk sees token j ≤ i, row by row. */
const levelsOfPairs = (size: number): Uint8Array =>
  Uint8Array.from({ length: size * size }, (_, at) => 32 - Math.clz32(Math.floor(at / size) ^ (at % size)));

/** For each level the pairs of tokens that see each other in it, [C, C] each. */
function levelMasks(size: number, levels: number): Tensor[] {
  const pairs = levelsOfPairs(size);
  return Array.from({ length: levels }, (_, level) =>
    tensor(
      Float32Array.from(pairs, (of, at) => (of === level && at % size <= Math.floor(at / size) ? 1 : 0)),
      [size, size],
    ),
  );
}

const levelWeightsGradientOp = defineOp<{ dWeights: Tensor }, { scales: Tensor }, { levels: number }>({
  name: 'LevelWeightsGradient',
  outputs: ['scales'],
  portable: ({ dWeights }, { levels }) => ({
    scales: concat(
      levelMasks(dWeights.shape[1] as number, levels).map((mask) => sum(mul(dWeights, mask), 2, true)),
      2,
    ),
  }),
  kernels: hostKernel({
    outputs: ({ dWeights: { shape } }, { levels }) => [
      { shape: [shape[0] as number, shape[1] as number, levels] },
    ],
    run: ({ dWeights: { data, shape } }, [scales], { levels }) => {
      const size = shape[1] as number;
      const pairs = levelsOfPairs(size);
      const out = (scales as { data: typeof data }).data;
      const sums = new Float64Array(levels);
      for (let row = 0; row < data.length / size; row++) {
        const i = row % size;
        sums.fill(0);
        for (let j = 0; j <= i; j++) {
          const level = pairs[i * size + j] as number;
          sums[level] = (sums[level] as number) + (data[row * size + j] as number);
        }
        for (let level = 0; level < levels; level++) out[row * levels + level] = sums[level] as number;
      }
    },
  }),
});

const levelWeightsOp = defineOp<{ scales: Tensor }, { weights: Tensor }, { levels: number }>({
  name: 'LevelWeights',
  outputs: ['weights'],
  portable: ({ scales }, { levels }) => {
    const [chunks, size] = scales.shape as [number, number];
    const parts = levelMasks(size, levels).map((mask, level) =>
      mul(slice(scales, [0, 0, level], [chunks, size, 1]), mask),
    );
    return { weights: parts.reduce((all, part) => add(all, part)) };
  },
  kernels: hostKernel({
    outputs: ({ scales: { shape } }) => [
      { shape: [shape[0] as number, shape[1] as number, shape[1] as number] },
    ],
    run: ({ scales: { data, shape } }, [weights], { levels }) => {
      const size = shape[1] as number;
      const pairs = levelsOfPairs(size);
      const out = (weights as { data: typeof data }).data.fill(0);
      for (let row = 0; row < data.length / levels; row++) {
        const i = row % size;
        for (let j = 0; j <= i; j++) {
          out[row * size + j] = data[row * levels + (pairs[i * size + j] as number)] as number;
        }
      }
    },
  }),
  gradient: ({ grads, attrs }) => levelWeightsGradientOp({ dWeights: grads.weights }, attrs),
});

/**
 * λ_{i, level(i, j)} for j ≤ i, else 0.
 *
 * @param scales [P, C, log2 C + 1]
 * @returns [P, C, C]
 */
export const levelWeights = (scales: Tensor): Tensor =>
  levelWeightsOp({ scales }, { levels: scales.shape[2] as number }).weights;
