// What a scan's forward pass keeps for its gradient changes no gradient, and stays for nobody else.
import { closeBackend, disposeTree, memory, openBackend, tidy, type Tensor } from '@mnemix/tensor';
import { describeOnWebgpu, nd, type NdArray } from '@mnemix/testkit';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { deltaRuleGradientOp, deltaRuleOp } from '../../src/delta-rule/op.ts';
import { diagonalDecayGradientOp, diagonalDecayOp } from '../../src/diagonal-decay/op.ts';
import { diagonalPlusLowRankGradientOp, diagonalPlusLowRankOp } from '../../src/diagonal-plus-low-rank/op.ts';
import { keptOf } from '../../src/portable/kept.ts';
import { deltaRule, diagonalDecay, diagonalPlusLowRank } from '../../src/index.ts';
import { scanAttrs, sequenceTensors } from '../../src/portable/scan-options.ts';
import { toTensor } from '../op-cases.ts';
import { scanCase, type CaseOptions } from '../scan-cases.ts';
import { gates } from '../scan-suite.ts';

// A software adapter takes a while to compile a pipeline.
vi.setConfig({ testTimeout: 300_000 });

type Tensors = Record<string, Tensor>;
type Op = (inputs: Tensors, attrs: object) => Tensors;

interface Scan {
  readonly op: unknown;
  readonly gradientOp: unknown;
  readonly scan: unknown;
  readonly drawn: Partial<CaseOptions>;
  /** What the gradient starts from in any case. */
  readonly saved: readonly string[];
}

const scans: Readonly<Record<string, Scan>> = {
  deltaRule: {
    op: deltaRuleOp,
    gradientOp: deltaRuleGradientOp,
    scan: deltaRule,
    drawn: { beta: true },
    saved: ['corrected'],
  },
  diagonalDecay: {
    op: diagonalDecayOp,
    gradientOp: diagonalDecayGradientOp,
    scan: diagonalDecay,
    drawn: {},
    saved: [],
  },
  diagonalPlusLowRank: {
    op: diagonalPlusLowRankOp,
    gradientOp: diagonalPlusLowRankGradientOp,
    scan: diagonalPlusLowRank,
    drawn: { lowRank: true },
    saved: ['recalled'],
  },
};

const shape = { batch: 1, tokens: 75, heads: 2, keyWidth: 16, valueWidth: 12 };

describeOnWebgpu('what scans keep', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

  describe.each(Object.entries(scans))('of %s', (name, { op, gradientOp, scan, drawn, saved }) => {
    const problemOf = (gate: (typeof gates)[number]) => {
      const { inputs, sequences, dO, dState } = scanCase({ ...shape, ...drawn, gate });
      const tensors = Object.fromEntries(Object.entries(inputs).map(([input, x]) => [input, toTensor(x)]));
      return { tensors, sequences, upstream: { dO: toTensor(dO), dState: toTensor(dState) } };
    };

    it.each(gates)('changes no gradient, decay %s', async (gate) => {
      const { tensors, sequences, upstream } = problemOf(gate);
      const attrs = { ...scanAttrs(name, { sequences }, { dk: shape.keyWidth }), eraseBeforeDecay: false };
      const given = { ...tensors, ...sequenceTensors(sequences) };
      const made = (op as Op)(given, attrs);
      const kept = keptOf(
        Object.fromEntries(
          Object.entries(made).filter(([output]) => !['o', 'state', ...saved].includes(output)),
        ),
      );
      const names = ['chunks', 'sequenceChunks', 'scores', 'states', ...(gate === 'scalar' ? ['sums'] : [])];
      expect(Object.keys(kept)).toEqual(expect.arrayContaining(names));

      const seen = {
        ...given,
        ...Object.fromEntries(saved.map((output) => [output, made[output]!])),
        ...upstream,
      };
      const read = async (x: Tensor): Promise<NdArray> => nd(x.shape, await x.data<'float32'>());
      const without = (gradientOp as Op)(seen, attrs);
      const gradients = (gradientOp as Op)({ ...seen, ...(kept as Tensors) }, attrs);
      for (const [of, gradient] of Object.entries(gradients)) {
        if (gradient.size > 0) expect(await read(gradient), of).toBeCloseRms(await read(without[of]!), 1e-5);
      }
      disposeTree([made, without, gradients, tensors, upstream]);
    });

    it('does not stay where there is no gradient', () => {
      const { tensors, sequences, upstream } = problemOf('scalar');
      const before = memory();
      const made = (scan as (inputs: Tensors, options: object) => Tensors)(tensors, { sequences });
      const after = memory();
      expect(after.numTensors - before.numTensors).toBe(2);
      expect(after.numBytes - before.numBytes).toBe(4 * (made['o']!.size + made['state']!.size));
      disposeTree([made, tensors, upstream]);
      expect(tidy(() => memory().numTensors)).toBe(
        before.numTensors - Object.keys({ ...tensors, ...upstream }).length,
      );
    });
  });
});
