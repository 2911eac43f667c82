// Memories whose transition is diagonal plus low rank: RWKV-7.
import { diagonalPlusLowRank, type DiagonalPlusLowRankArguments } from '@mnemix/kernels';
import type { CaseOptions, KernelCase } from '../case.ts';
import { CHUNK, scanCase, scanShapes } from '../scan.ts';

export const diagonalPlusLowRankCases = (options: CaseOptions): readonly KernelCase[] =>
  scanShapes(options).map(({ isMain, ...shape }) =>
    scanCase({
      family: 'diagonalPlusLowRank',
      op: 'diagonal plus low rank, vector',
      shape,
      rule: { corrects: false, recalls: true, gate: 'vector' },
      run: (inputs, given) => diagonalPlusLowRank(inputs as unknown as DiagonalPlusLowRankArguments, given).o,
      isMain,
      // As the delta rule, with four sets of pairs instead of two, and two writes to the state.
      flops: ({ width }) => ({
        forward: 8 * width ** 2 + 16 * CHUNK * width,
        backward: 18 * width ** 2 + 38 * CHUNK * width,
      }),
    }),
  );
