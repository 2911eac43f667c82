// Memories that correct what they hold: the delta rule, plain and gated.
import { deltaRule, type DeltaRuleArguments } from '@mnemix/kernels';
import type { CaseOptions, KernelCase } from '../case.ts';
import { CHUNK, scanCase, scanShapes, type Gate, type ScanShape } from '../scan.ts';

const GATES: readonly Gate[] = ['none', 'scalar', 'vector'];

/** Beside those of decay: pairs of keys, the triangular solve for keys and values, and what the state's keys hold already. */
const deltaFlops = ({ width }: ScanShape): { readonly forward: number; readonly backward: number } => ({
  forward: 6 * width ** 2 + 10 * CHUNK * width,
  backward: 14 * width ** 2 + 24 * CHUNK * width,
});

export const deltaCase = (gate: Gate, shape: ScanShape, isMain: boolean, isAlone = false): KernelCase =>
  scanCase({
    family: 'deltaRule',
    op: `delta rule, ${gate}`,
    shape,
    rule: { corrects: true, recalls: false, gate },
    run: (inputs, options) => deltaRule(inputs as unknown as DeltaRuleArguments, options).o,
    isMain,
    isAlone,
    flops: deltaFlops,
  });

export const deltaRuleCases = (options: CaseOptions): readonly KernelCase[] =>
  GATES.flatMap((gate) => scanShapes(options).map(({ isMain, ...shape }) => deltaCase(gate, shape, isMain)));
