import {
  centralDifferences,
  innerGradient,
  nd,
  rows,
  seededRandom,
  tttLinear as oracle,
  zipWith,
  type NdArray,
} from '@mnemix/testkit';
import { expect, it } from 'vitest';
import { tttLinear } from '../src/index.ts';
import { describeDescent } from './descent-suite.ts';

const plus = (a: NdArray, b: NdArray | undefined, sign = 1): NdArray =>
  b ? zipWith(a, b, (x, y) => x + sign * y) : a;

/** W [D, D] and c [D] as [W; c], and back. */
const stacked = (weight: NdArray, bias: NdArray): NdArray =>
  nd([bias.data.length + 1, bias.data.length], [...weight.data, ...bias.data]);
const weightOf = (x: NdArray): NdArray => rows(x, 0, x.shape[1]!);
const biasOf = (x: NdArray): NdArray => nd([x.shape[1]!], rows(x, x.shape[1]!, x.shape[1]! + 1).data);

describeDescent({
  name: 'tttLinear',
  chunkOption: 'miniBatch',
  op: tttLinear,
  gates: { eta: 0.1 },
  initial: (width) => ({ initialWeight: [width, width], initialBias: [width] }),
  states: (width) => ({ memory: [width + 1, width], gradients: [width + 1, width] }),
  oracle: ({ q, k, v, eta, normWeight, normBias, ...head }, phase, miniBatch) => {
    const width = q!.shape[1]!;
    const initial = stacked(head['initialWeight'] ?? nd([width, width]), head['initialBias'] ?? nd([width]));
    const memory = plus(initial, head['memory']);
    const gradients = head['gradients'] ?? nd(memory.shape);
    const initialState = {
      weight: weightOf(memory),
      bias: biasOf(memory),
      weightGradient: weightOf(gradients),
      biasGradient: biasOf(gradients),
      phase,
    };
    const inputs = {
      q: q!,
      k: k!,
      v: v!,
      eta: eta!,
      normWeight: normWeight!,
      normBias: normBias!,
      initialState,
    };
    const { output, finalState } = oracle(inputs, { miniBatch });
    return {
      o: output,
      memory: plus(stacked(finalState.weight, finalState.bias), initial, -1),
      gradients: stacked(finalState.weightGradient, finalState.biasGradient),
      phase: nd([1], [finalState.phase]),
    };
  },
});

it('the oracle of the inner gradient is the derivative of the inner loss', () => {
  const random = seededRandom(3);
  const [z, k, v, weight, bias] = Array.from({ length: 5 }, () => random.normals([6])) as [
    NdArray,
    ...NdArray[],
  ];
  const eps = 1e-2;
  const loss = (inputs: { z: NdArray }): number => {
    const x = inputs.z.data;
    const mean = x.reduce((sum, value) => sum + value) / 6;
    const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 6;
    return x.reduce((sum, value, c) => {
      const answer = ((value - mean) / Math.sqrt(variance + eps)) * weight!.data[c]! + bias!.data[c]!;
      return sum + (answer - (v!.data[c]! - k!.data[c]!)) ** 2 / 2;
    }, 0);
  };
  const norm = { weight: weight!.data, bias: bias!.data, eps };
  const found = innerGradient(z.data, k!.data, v!.data, norm);
  expect(found).toBeCloseRms(centralDifferences(loss, { z }).z.data, 1e-8);
});
