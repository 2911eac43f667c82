// Whether cost grows with the tokens alone: longer sequences of as many tokens, and more memories of as many chosen ones.
import { buildMixer } from '@mnemix/lm';
import { disposeTree, flatten, leaves, Rng, tensor, unflatten, type Tensor } from '@mnemix/tensor';
import { bytesOf, type CaseOptions, type KernelCase } from '../case.ts';
import { noise } from '../data.ts';
import { decayCase } from './diagonal-decay.ts';
import { deltaCase } from './delta-rule.ts';

/** Of all sequences. */
const TOKENS = 65_536;

export const linearityCases = ({ quick }: CaseOptions): readonly KernelCase[] => {
  const lengths = quick ? [32, 64] : [2048, 4096, 16_384, 65_536];
  const tokens = quick ? 64 : TOKENS;
  const [heads, width] = quick ? [2, 16] : [8, 128];
  return [
    ...lengths.flatMap((length) => {
      const shape = { batch: tokens / length, tokens: length, heads, width };
      return [decayCase('scalar', shape, false, true), deltaCase('scalar', shape, false, true)];
    }),
    ...(quick ? [2, 3] : [4, 8, 16, 32, 64]).map((memories) => memoriesCase(memories, quick)),
  ].map((each) => ({ ...each, family: 'linearity', precisions: ['float32'] as const, isMain: false }));
};

/** A Mixture-of-Memories layer: projections, routing, the scan over buckets, the mix. */
function memoriesCase(memories: number, quick: boolean): KernelCase {
  const [batch, tokens, width, heads] = (quick ? [2, 16, 16, 2] : [8, 2048, 512, 4]) as [
    number,
    number,
    number,
    number,
  ];
  return {
    family: 'linearity',
    op: `Mixture-of-Memories layer, ${memories} memories`,
    shape: `${batch}×${tokens}×${width}, top 2`,
    precisions: ['float32'],
    isAlone: true,
    prepare: () => {
      const mixer = buildMixer(
        {
          type: 'mom',
          memories,
          topK: 2,
          shared: true,
          cell: { type: 'gated_delta_net', heads, headWidth: width / heads, expandV: 1 },
        },
        width,
        { layer: 0, layers: 1 },
      );
      const params = mixer.init(Rng.of(1));
      const x = tensor(noise(1, batch * tokens * width), [batch, tokens, width]);
      const inputs = { x, ...flatten(params) };
      return {
        inputs,
        run: ({ x: rows, ...given }) => {
          const { y, state } = mixer.forward(unflatten(params, given) as never, rows as never);
          disposeTree(leaves(state).filter((leaf) => !leaf.isDisposed));
          return y as Tensor;
        },
        cost: {
          // Of the inputs and outputs alone: the time is what matters here.
          forward: { flops: 0, bytes: bytesOf(x, x) },
          training: { flops: 0, bytes: bytesOf(x, x, x, x) },
        },
        errorOf: () => Number.NaN,
        dispose: () => disposeTree({ x, params }),
      };
    },
  };
}
