// Cross-entropy over a vocabulary.
import { crossEntropy } from '@mnemix/kernels';
import { tensor, tensor1d, type Tensor } from '@mnemix/tensor';
import { bytesOf, freeInputs, type CaseOptions, type KernelCase } from '../case.ts';
import { noise, whole } from '../data.ts';

export const crossEntropyCases = ({ quick }: CaseOptions): readonly KernelCase[] => {
  const [rows, classes] = (quick ? [18, 40] : [16_384, 8192]) as [number, number];
  const size = rows * classes;
  return [
    {
      family: 'crossEntropy',
      op: 'cross-entropy',
      shape: `${rows}×${classes}`,
      precisions: ['float32'],
      prepare: () => {
        const logits = noise(1, size);
        const labels = whole(2, rows, classes);
        const inputs = { logits: tensor(logits, [rows, classes]) };
        const targets = tensor1d(labels, 'int32');
        const forward = { flops: 4 * size, bytes: bytesOf(inputs, rows) };
        return {
          inputs,
          run: (given) => crossEntropy({ logits: given.logits as Tensor, targets }).loss,
          cost: { forward, training: { flops: 8 * size, bytes: 3 * bytesOf(inputs) } },
          errorOf: ({ 0: found = Number.NaN }) => {
            let loss = 0;
            for (let row = 0; row < rows; row++) {
              let total = 0;
              for (let c = row * classes; c < (row + 1) * classes; c++)
                total += Math.exp(logits[c] as number);
              loss += Math.log(total) - (logits[row * classes + (labels[row] as number)] as number);
            }
            loss /= rows;
            return Math.abs(found - loss) / loss;
          },
          dispose: freeInputs(inputs, { targets }),
        };
      },
    },
  ];
};
