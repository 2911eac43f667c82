import { nd, titans as oracle, zipWith, type NdArray } from '@mnemix/testkit';
import { titans } from '../src/index.ts';
import { describeDescent, type DescentEngine } from './descent-suite.ts';

const plus = (a: NdArray, b: NdArray | undefined, sign = 1): NdArray =>
  b ? zipWith(a, b, (x, y) => x + sign * y) : a;

const engine = (gates: DescentEngine['gates'], states: string[]): DescentEngine => ({
  name: 'titans',
  chunkOption: 'chunkSize',
  op: titans,
  gates,
  initial: (width) => ({ initialMemory: [width, width] }),
  states: (width) => Object.fromEntries(states.map((name) => [name, [width, width]])),
  oracle: ({ q, k, v, alpha, theta, eta, normWeight, normBias, ...head }, phase, chunkSize) => {
    const width = q!.shape[1]!;
    const initial = head['initialMemory'] ?? nd([width, width]);
    const initialState = {
      memory: plus(initial, head['memory']),
      anchor: plus(initial, head['anchor']),
      ...(head['momentum'] && { momentum: head['momentum'] }),
      phase,
    };
    const { output, finalState } = oracle(
      {
        q: q!,
        k: k!,
        v: v!,
        alpha: alpha!,
        theta: theta!,
        eta,
        normWeight: normWeight!,
        normBias: normBias!,
        initialState,
      },
      { chunkSize },
    );
    return {
      o: output,
      memory: plus(finalState.memory, initial, -1),
      momentum: finalState.momentum,
      anchor: plus(finalState.anchor, initial, -1),
      phase: nd([1], [finalState.phase]),
    };
  },
});

describeDescent(engine({ alpha: 0.4, theta: 0.05, eta: 0.6 }, ['memory', 'momentum', 'anchor']));
describeDescent(engine({ alpha: 0.4, theta: 0.1 }, ['memory', 'anchor']), 'titans without momentum');
