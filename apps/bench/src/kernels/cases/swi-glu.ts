// The gate of a SwiGLU feed-forward layer.
import { swiGlu } from '@mnemix/kernels';
import { tensor, type Tensor } from '@mnemix/tensor';
import { freeInputs, streamingCost, type CaseOptions, type KernelCase } from '../case.ts';
import { noise, sampledError } from '../data.ts';

export const swiGluCases = ({ quick }: CaseOptions): readonly KernelCase[] => {
  const [rows, width] = (quick ? [18, 30] : [16_384, 2048]) as [number, number];
  const size = rows * width;
  return [
    {
      family: 'swiGlu',
      op: 'SwiGLU',
      shape: `${rows}×${width}`,
      precisions: ['float32'],
      prepare: () => {
        const [gate, up] = [noise(1, size), noise(2, size)];
        const inputs = { gate: tensor(gate, [rows, width]), up: tensor(up, [rows, width]) };
        return {
          inputs,
          run: (given) => swiGlu(given.gate as Tensor, given.up as Tensor),
          cost: streamingCost(inputs, size, 5 * size),
          errorOf: (found) =>
            sampledError(found, (index) => {
              const z = gate[index] as number;
              return (z / (1 + Math.exp(-z))) * (up[index] as number);
            }),
          dispose: freeInputs(inputs),
        };
      },
    },
  ];
};
