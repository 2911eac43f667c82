// What B'MOJO's eidetic memory is chosen by: the innovation of each token, and the slots that hold the highest.
import { innovation, selectSlots, uniformSequences } from '@mnemix/kernels';
import { disposeTree, tensor, type Tensor } from '@mnemix/tensor';
import { bytesOf, freeInputs, type CaseOptions, type KernelCase } from '../case.ts';
import { noise, relativeError, sampledError } from '../data.ts';

const TAPS = [0.4, 0.3, 0.2, 0.1];

export const eideticCases = (options: CaseOptions): readonly KernelCase[] => [
  innovationCase(options),
  selectCase(options),
];

function innovationCase({ quick }: CaseOptions): KernelCase {
  const [batch, tokens, width] = (quick ? [2, 20, 12] : [8, 2048, 512]) as [number, number, number];
  const size = batch * tokens * width;
  return {
    family: 'eidetic',
    op: 'innovation',
    shape: `${batch}×${tokens}×${width}`,
    precisions: ['float32'],
    prepare: () => {
      const y = noise(1, size);
      const inputs = { y: tensor(y, [batch * tokens, width]) };
      const sequences = uniformSequences(batch, tokens);
      return {
        inputs,
        run: (given) => innovation({ y: given.y as Tensor }, { sequences, taps: TAPS }),
        cost: { forward: { flops: (2 * TAPS.length + 3) * size, bytes: bytesOf(inputs, batch * tokens) } },
        errorOf: (found) =>
          sampledError(found, (row) => {
            const taps = TAPS.slice(0, row % tokens);
            const total = taps.reduce((a, b) => a + b, 0);
            let error = 0;
            for (let c = 0; c < width; c++) {
              const expected = taps.reduce(
                (sum, tap, i) => sum + tap * (y[(row - 1 - i) * width + c] as number),
                0,
              );
              error += ((y[row * width + c] as number) - (total > 0 ? expected / total : 0)) ** 2;
            }
            return error;
          }),
        dispose: () => {
          freeInputs(inputs)();
          const { starts, lengths, rowSequence } = sequences;
          disposeTree({ starts, lengths, rowSequence });
        },
      };
    },
  };
}

function selectCase({ quick }: CaseOptions): KernelCase {
  const [batch, tokens, slots, block] = (quick ? [2, 32, 6, 8] : [8, 2048, 64, 64]) as [
    number,
    number,
    number,
    number,
  ];
  return {
    family: 'eidetic',
    op: 'top slots',
    shape: `${batch}×${tokens}, ${slots} slots`,
    precisions: ['float32'],
    prepare: () => {
      const scores = noise(1, batch * tokens);
      const inputs = { scores: tensor(scores, [batch, tokens]) };
      const blocks = tokens / block;
      return {
        inputs,
        run: (given) => {
          const chosen = selectSlots({ scores: given.scores as Tensor }, { slots, block });
          chosen.ids.dispose();
          return chosen.scores;
        },
        cost: {
          forward: { flops: 2 * batch * tokens * slots, bytes: bytesOf(inputs, 2 * batch * blocks * slots) },
        },
        // The last block has seen everything.
        errorOf: (found) =>
          relativeError(
            Array.from({ length: batch }, (_, s) => s).flatMap((s) => {
              const highest = Array.from(scores.subarray(s * tokens, (s + 1) * tokens)).sort((a, b) => b - a);
              return highest
                .slice(0, slots)
                .map((wanted, i) => [found[((s + 1) * blocks - 1) * slots + i] as number, wanted] as const);
            }),
          ),
        dispose: freeInputs(inputs),
      };
    },
  };
}
