// Rotary positions.
import { rotary } from '@mnemix/kernels';
import { tensor, tensor1d, type Tensor } from '@mnemix/tensor';
import { freeInputs, streamingCost, type CaseOptions, type KernelCase } from '../case.ts';
import { noise, sampledError } from '../data.ts';

const BASE = 10_000;

export const rotaryCases = ({ quick }: CaseOptions): readonly KernelCase[] => {
  const [batch, tokens, heads, width] = (quick ? [2, 9, 2, 16] : [8, 2048, 8, 128]) as [
    number,
    number,
    number,
    number,
  ];
  const size = batch * tokens * heads * width;
  return [
    {
      family: 'rotary',
      op: 'rotary positions',
      shape: `${batch}×${tokens}×${heads}×${width}`,
      precisions: ['float32'],
      prepare: () => {
        const x = noise(1, size);
        const inputs = { x: tensor(x, [batch * tokens, heads, width]) };
        const positions = tensor1d(Float32Array.from({ length: batch * tokens }, (_, row) => row % tokens));
        return {
          inputs,
          run: (given) => rotary({ x: given.x as Tensor, positions }, { base: BASE }),
          cost: streamingCost(inputs, size, 3 * size),
          errorOf: (found) =>
            sampledError(found, (index) => {
              const [column, half] = [index % width, width / 2];
              const first = index - column + (column % half);
              const angle =
                (Math.floor(index / (heads * width)) % tokens) * BASE ** ((-2 * (column % half)) / width);
              const [a, b] = [x[first] as number, x[first + half] as number];
              return column < half
                ? a * Math.cos(angle) - b * Math.sin(angle)
                : b * Math.cos(angle) + a * Math.sin(angle);
            }),
          dispose: freeInputs(inputs, { positions }),
        };
      },
    },
  ];
};
