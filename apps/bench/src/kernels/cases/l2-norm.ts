// Queries or keys scaled to length 1.
import { l2Norm } from '@mnemix/kernels';
import { tensor, type Tensor } from '@mnemix/tensor';
import { freeInputs, streamingCost, type CaseOptions, type KernelCase } from '../case.ts';
import { noise, sampledError } from '../data.ts';

const EPS = 1e-6;

export const l2NormCases = ({ quick }: CaseOptions): readonly KernelCase[] => {
  const shape = quick ? [2, 9, 2, 16] : [8, 2048, 8, 128];
  const width = shape.at(-1) as number;
  const size = shape.reduce((a, b) => a * b, 1);
  return [
    {
      family: 'l2Norm',
      op: 'l2 norm',
      shape: shape.join('×'),
      precisions: ['float32'],
      prepare: () => {
        const x = noise(1, size);
        const inputs = { x: tensor(x, shape) };
        return {
          inputs,
          run: (given) => l2Norm(given.x as Tensor, { eps: EPS }),
          cost: streamingCost(inputs, size, 3 * size),
          errorOf: (found) =>
            sampledError(found, (index) => {
              const row = x.subarray(index - (index % width), index - (index % width) + width);
              const squares = row.reduce((sum, value) => sum + value ** 2, 0);
              return (x[index] as number) / Math.sqrt(squares + EPS);
            }),
          dispose: freeInputs(inputs),
        };
      },
    },
  ];
};
