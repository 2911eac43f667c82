// Short causal convolution with silu.
import { shortConv, uniformSequences } from '@mnemix/kernels';
import { disposeTree, tensor, type Tensor } from '@mnemix/tensor';
import { freeInputs, streamingCost, type CaseOptions, type KernelCase } from '../case.ts';
import { noise, sampledError } from '../data.ts';

const TAPS = 4;

export const shortConvCases = ({ quick }: CaseOptions): readonly KernelCase[] => {
  const [batch, tokens, width] = (quick ? [2, 33, 20] : [8, 2048, 1024]) as [number, number, number];
  const size = batch * tokens * width;
  return [
    {
      family: 'shortConv',
      op: 'short convolution',
      shape: `${batch}×${tokens}×${width}`,
      precisions: ['float32'],
      isMain: true,
      prepare: () => {
        const [x, weight] = [noise(1, size), noise(2, width * TAPS)];
        const inputs = {
          x: tensor(x, [batch * tokens, width]),
          weight: tensor(weight, [width, 1, TAPS]),
        };
        const sequences = uniformSequences(batch, tokens);
        const entry = (index: number): number => {
          const [row, channel] = [Math.floor(index / width), index % width];
          let sum = 0;
          for (let tap = Math.max(0, TAPS - 1 - (row % tokens)); tap < TAPS; tap++) {
            const before = row - (TAPS - 1 - tap);
            sum += (weight[channel * TAPS + tap] as number) * (x[before * width + channel] as number);
          }
          return sum / (1 + Math.exp(-sum));
        };
        return {
          inputs,
          run: (given) =>
            shortConv({ x: given.x as Tensor, weight: given.weight as Tensor }, { sequences }).y,
          cost: streamingCost(inputs, size, (2 * TAPS + 4) * size),
          errorOf: (found) => sampledError(found, entry),
          dispose: () => {
            freeInputs(inputs)();
            const { starts, lengths, rowSequence } = sequences;
            disposeTree({ starts, lengths, rowSequence });
          },
        };
      },
    },
  ];
};
