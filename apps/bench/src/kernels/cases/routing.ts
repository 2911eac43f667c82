// Mixture-of-Memories' plan, gather and weighted mix, one after the other.
import { routeGather, routeMix, routePlan, uniformSequences } from '@mnemix/kernels';
import { disposeTree, tensor, tensor2d, type Tensor } from '@mnemix/tensor';
import { bytesOf, freeInputs, type CaseOptions, type KernelCase } from '../case.ts';
import { noise, sampledError, whole } from '../data.ts';

export const routingCases = ({ quick }: CaseOptions): readonly KernelCase[] =>
  (quick
    ? [[2, 9, 4, 20]]
    : [
        [8, 2048, 4, 512],
        [8, 2048, 64, 512],
      ]
  ).map((shape) => routingCase(shape as [number, number, number, number]));

const CHOSEN = 2;

function routingCase([batch, tokens, memories, width]: readonly [
  number,
  number,
  number,
  number,
]): KernelCase {
  const rows = batch * tokens;
  return {
    family: 'routing',
    op: `plan, gather and mix, ${memories} memories`,
    shape: `${batch}×${tokens}×${width}, top ${CHOSEN}`,
    precisions: ['float32'],
    prepare: () => {
      const [x, weights] = [noise(1, rows * width), noise(2, rows * CHOSEN)];
      const inputs = {
        x: tensor(x, [rows, width]),
        weights: tensor(weights, [rows, CHOSEN]),
      };
      const sequences = uniformSequences(batch, tokens);
      const first = whole(3, rows, memories);
      const choices = tensor2d(
        Int32Array.from({ length: rows * CHOSEN }, (_, i) => {
          const row = Math.floor(i / CHOSEN);
          return ((first[row] as number) + (i % CHOSEN)) % memories;
        }),
        [rows, CHOSEN],
        'int32',
      );
      const moved = bytesOf(rows * width * (1 + 2 * CHOSEN + 1));
      return {
        inputs,
        run: (given) => {
          const plan = routePlan(choices, { memories, sequences });
          const o = routeGather(given.x as Tensor, plan);
          return routeMix({ o, weights: given.weights as Tensor }, plan);
        },
        cost: {
          forward: { flops: 2 * CHOSEN * rows * width, bytes: moved },
          training: {
            flops: 8 * CHOSEN * rows * width,
            bytes: moved + bytesOf(rows * width * (1 + 3 * CHOSEN + 1)),
          },
        },
        // What was copied comes back: the sum of the weights, times x.
        errorOf: (found) =>
          sampledError(found, (index) => {
            const row = Math.floor(index / width);
            let sum = 0;
            for (let j = 0; j < CHOSEN; j++) sum += weights[row * CHOSEN + j] as number;
            return sum * (x[index] as number);
          }),
        dispose: () => {
          freeInputs(inputs, { choices })();
          const { starts, lengths, rowSequence } = sequences;
          disposeTree({ starts, lengths, rowSequence });
        },
      };
    },
  };
}
