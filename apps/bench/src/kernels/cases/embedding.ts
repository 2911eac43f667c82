// Rows of a table by number, and the sum of their gradients.
import { embedding } from '@mnemix/kernels';
import { tensor, tensor1d, type Tensor } from '@mnemix/tensor';
import { bytesOf, freeInputs, type CaseOptions, type KernelCase } from '../case.ts';
import { noise, sampledError, whole } from '../data.ts';

export const embeddingCases = ({ quick }: CaseOptions): readonly KernelCase[] => {
  const [rows, width, count] = (quick ? [12, 20, 18] : [32_000, 512, 16_384]) as [number, number, number];
  return [
    {
      family: 'embedding',
      op: 'embedding',
      shape: `${count} of ${rows}×${width}`,
      precisions: ['float32'],
      prepare: () => {
        const table = noise(1, rows * width);
        const chosen = whole(2, count, rows);
        const inputs = { weight: tensor(table, [rows, width]) };
        const ids = tensor1d(chosen, 'int32');
        const forward = { flops: 0, bytes: bytesOf(2 * count * width) };
        return {
          inputs,
          run: (given) => embedding({ weight: given.weight as Tensor, ids }),
          // Backward: the gradient of each token is read, that of the whole table is written.
          cost: {
            forward,
            training: { flops: count * width, bytes: forward.bytes + bytesOf((count + rows) * width) },
          },
          errorOf: (found) =>
            sampledError(
              found,
              (index) =>
                table[(chosen[Math.floor(index / width)] as number) * width + (index % width)] as number,
            ),
          dispose: freeInputs(inputs, { ids }),
        };
      },
    },
  ];
};
