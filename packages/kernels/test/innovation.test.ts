import { bmojoFixtureNames, nd, readBmojoFixture, rows } from '@mnemix/testkit';
import { openBackend, tensor1d, tidy, zeros } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { innovation, packedSequences, uniformSequences } from '../src/index.ts';
import * as portable from '../src/innovation/portable.ts';
import { innovationCases, innovationInputs, innovationOracle, runInnovation } from './innovation-cases.ts';
import { float32, runOp, toTensor } from './op-cases.ts';

const errors = ['l2', 'l1', 'relL2'] as const;

describe.each(['cpu', 'wasm'] as const)('innovation on %s', (backend) => {
  beforeAll(() => openBackend(backend));

  it.each(bmojoFixtureNames)('of the golden data %s', (name) => {
    const { y, taps, error, innovation: expected } = readBmojoFixture(name);
    tidy(() => {
      const sequences = uniformSequences(1, y.shape[0]!);
      expect(innovation({ y: toTensor(y) }, { sequences, taps, error })).toBeCloseRms([...expected], 1e-5);
    });
  });

  describe.each(innovationCases)('for $name', (shape) => {
    it.each(errors)('matches the oracle, %s', (error) => {
      tidy(() => {
        expect(runInnovation(shape, error)).toBeCloseRms(innovationOracle(shape, error), 1e-5);
      });
    });

    it.each(errors)('so does the portable form, %s', (error) => {
      const { y, before } = innovationInputs(shape);
      const { batch, tokens, segments, position, taps } = shape;
      tidy(() => {
        const packed = segments ? packedSequences(batch, tokens, segments) : uniformSequences(batch, tokens);
        const inputs = {
          y: toTensor(y),
          before: before && toTensor(before),
          position: position && tensor1d([...position]),
          starts: packed.starts,
          rowSequence: packed.rowSequence,
        };
        const { e } = portable.forward(inputs, { taps, error });
        expect(e).toBeCloseRms(innovationOracle(shape, error), 1e-5);
      });
    });
  });

  it('a sequence split in two, with its last vectors carried, gives the same as the whole', () => {
    const { y } = innovationInputs({ name: '', batch: 1, tokens: 11, channels: 6, taps: [] });
    const taps = [0.5, 0.25, 0.125];
    const run = (first: number, last: number) => {
      const h = 4;
      const before = nd([1, h, 6]);
      const kept = rows(y, Math.max(0, first - h), first);
      before.data.set(kept.data, before.data.length - kept.data.length);
      const inputs = {
        y: toTensor(rows(y, first, last)),
        before: toTensor(before),
        position: tensor1d([first]),
      };
      return Array.from(
        innovation(inputs, { sequences: uniformSequences(1, last - first), taps }).dataSync(),
      );
    };
    tidy(() => {
      for (const at of [1, 2, 3, 4, 5, 10]) expect([...run(0, at), ...run(at, 11)]).toEqual(run(0, 11));
    });
  });

  it('only the ratios of the taps count', () => {
    const shape = innovationCases[2]!;
    tidy(() => {
      const once = runInnovation(shape, 'l2');
      const scaled = { ...shape, taps: shape.taps.map((tap) => tap * 1e-30) };
      expect(runInnovation(scaled, 'l2')).toBeCloseRms(once, 1e-6);
    });
  });

  it('vectors of zeros have an innovation of 0', () => {
    tidy(() => {
      const options = { sequences: uniformSequences(1, 3), taps: [1, 1] };
      for (const error of errors) {
        const e = innovation({ y: zeros([3, 4]) }, { ...options, error });
        expect(Array.from(e.dataSync())).toEqual([0, 0, 0]);
      }
    });
  });

  it('is a constant to gradients', async () => {
    const { y } = innovationInputs(innovationCases[2]!);
    const sequences = uniformSequences(2, 9);
    const upstream = { e: nd([18], Array(18).fill(1)), y: float32(y) };
    const { gradients } = await runOp(
      { y },
      (t) => ({ e: innovation({ y: t['y']! }, { sequences, taps: [1] }), y: t['y']! }),
      upstream,
    );
    expect(gradients['y']).toEqual(upstream.y);
  });

  it('takes no rows, and none in a sequence', () => {
    tidy(() => {
      const none = innovation({ y: zeros([0, 3]) }, { sequences: uniformSequences(2, 0), taps: [1] });
      expect(none.shape).toEqual([0]);
      const padding = innovation({ y: zeros([4, 3]) }, { sequences: packedSequences(2, 2, []), taps: [1] });
      expect(Array.from(padding.dataSync())).toEqual([0, 0, 0, 0]);
    });
  });

  it('says what is wrong with its arguments', () => {
    tidy(() => {
      const options = { sequences: uniformSequences(2, 3), taps: [2, 1] };
      const y = zeros([6, 4]);
      const position = zeros([2]);
      expect(() => innovation({ y: zeros([5, 4]) }, options)).toThrow(
        /innovation\(y\): expected shape \[6, d\]/,
      );
      expect(() => innovation({ y, before: zeros([2, 2, 3]), position }, options)).toThrow(
        /innovation\(before\): expected shape \[2, h=2, d=4\]/,
      );
      expect(() => innovation({ y, before: zeros([2, 1, 4]), position }, options)).toThrow(
        /innovation\(before\): it holds 1 vectors of each sequence, but there are 2 taps/,
      );
      expect(() => innovation({ y, before: zeros([2, 2, 4]) }, options)).toThrow(/innovation\(position\)/);
      expect(() => innovation({ y, position: zeros([3]) }, options)).toThrow(/innovation\(position\)/);
      for (const taps of [[], [1, 0], [NaN], [-1]]) {
        expect(() => innovation({ y }, { ...options, taps })).toThrow(/innovation\(taps\)/);
      }
      expect(() => innovation({ y }, { ...options, error: 'linf' as never })).toThrow(
        /innovation\(error\): it is 'linf'. Use one of l2, l1, relL2/,
      );
    });
  });
});
