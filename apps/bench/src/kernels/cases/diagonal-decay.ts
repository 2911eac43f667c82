// Memories that only decay: linear attention, scalar and vector gates.
import { diagonalDecay, type DiagonalDecayArguments } from '@mnemix/kernels';
import type { CaseOptions, KernelCase } from '../case.ts';
import { CHUNK, scanCase, scanShapes, type Gate, type ScanShape } from '../scan.ts';

const GATES: readonly Gate[] = ['none', 'scalar', 'vector'];

/**
 * In chunks: a state's update and read are 2 dk dv each, the pairs of a chunk 2 · 64 dk, what they read 2 · 64 dv. Backward, both
 * states, three reads and two sets of pairs.
 */
const decayFlops = ({ width }: ScanShape): { readonly forward: number; readonly backward: number } => ({
  forward: 4 * width ** 2 + 4 * CHUNK * width,
  backward: 10 * width ** 2 + 10 * CHUNK * width,
});

export const decayCase = (gate: Gate, shape: ScanShape, isMain: boolean, isAlone = false): KernelCase =>
  scanCase({
    family: 'diagonalDecay',
    op: `diagonal decay, ${gate}`,
    shape,
    rule: { corrects: false, recalls: false, gate },
    run: (inputs, options) => diagonalDecay(inputs as unknown as DiagonalDecayArguments, options).o,
    isMain,
    isAlone,
    flops: decayFlops,
  });

export const diagonalDecayCases = (options: CaseOptions): readonly KernelCase[] =>
  GATES.flatMap((gate) => scanShapes(options).map(({ isMain, ...shape }) => decayCase(gate, shape, isMain)));
