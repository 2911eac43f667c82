// What the gradients of scans in chunks find made by the forward pass: plans alone, so that matrix units are not needed.
import { describe, expect, it } from 'vitest';
import * as deltaRule from '../../src/delta-rule/gpu.ts';
import * as diagonalDecay from '../../src/diagonal-decay/gpu.ts';
import * as diagonalPlusLowRank from '../../src/diagonal-plus-low-rank/gpu.ts';
import type { GpuPlan } from '../../src/gpu/kernel.ts';
import { binding, roomyDevice } from './null-device.ts';

type Gate = 'none' | 'scalar' | 'vector';
type Shapes = Readonly<Record<string, readonly number[]>>;

interface Problem {
  readonly gate: Gate;
  readonly precision: 'float32' | 'mixed';
  readonly tokens?: number;
  readonly isCut?: boolean;
  readonly on?: GPUDevice;
}

const [heads, width] = [2, 64];

interface Scan {
  readonly forwardPlan: (call: never) => GpuPlan | string | undefined;
  readonly gradientPlan: (call: never) => GpuPlan | string | undefined;
  /** Inputs besides q, k, v and the gates, and what the gradient gets besides what is kept. */
  readonly inputs: readonly string[];
  readonly saved: readonly string[];
  /** Dispatches of a gradient that finds nothing, and of one that finds all. */
  readonly dispatches: readonly (Problem & { readonly without: number; readonly kept: number })[];
}

const scans: Readonly<Record<string, Scan>> = {
  'the delta rule': {
    forwardPlan: deltaRule.forwardPlan,
    gradientPlan: deltaRule.gradientPlan,
    inputs: [],
    saved: ['corrected'],
    dispatches: [
      { gate: 'none', precision: 'float32', without: 13, kept: 8 },
      { gate: 'scalar', precision: 'float32', without: 13, kept: 8 },
      { gate: 'scalar', precision: 'float32', on: binding(12), without: 14, kept: 9 },
      { gate: 'vector', precision: 'float32', without: 18, kept: 13 },
      { gate: 'none', precision: 'mixed', without: 11, kept: 9 },
      { gate: 'scalar', precision: 'mixed', without: 11, kept: 9 },
      { gate: 'scalar', precision: 'mixed', on: binding(13), without: 12, kept: 10 },
      { gate: 'vector', precision: 'mixed', without: 17, kept: 15 },
    ],
  },
  'diagonal decay': {
    forwardPlan: diagonalDecay.forwardPlan,
    gradientPlan: diagonalDecay.gradientPlan,
    inputs: [],
    saved: [],
    dispatches: [
      { gate: 'none', precision: 'float32', without: 8, kept: 5 },
      { gate: 'scalar', precision: 'float32', without: 9, kept: 6 },
      { gate: 'vector', precision: 'float32', without: 12, kept: 9 },
      { gate: 'none', precision: 'mixed', without: 6, kept: 4 },
      { gate: 'scalar', precision: 'mixed', without: 7, kept: 5 },
      { gate: 'vector', precision: 'mixed', without: 11, kept: 9 },
    ],
  },
  'diagonal plus low rank': {
    forwardPlan: diagonalPlusLowRank.forwardPlan,
    gradientPlan: diagonalPlusLowRank.gradientPlan,
    inputs: ['a', 'b'],
    saved: ['recalled'],
    dispatches: [
      { gate: 'none', precision: 'float32', without: 15, kept: 10 },
      { gate: 'scalar', precision: 'float32', without: 16, kept: 11 },
      { gate: 'vector', precision: 'float32', without: 21, kept: 16 },
    ],
  },
};

describe.each(Object.entries(scans))('the gradient of %s', (_, scan) => {
  const { forwardPlan, gradientPlan, inputs, saved, dispatches } = scan;

  const plansOf = ({ gate, precision, tokens = 200, isCut = false, on = roomyDevice }: Problem) => {
    const rows = [tokens, heads, width];
    const shapes: Shapes = {
      ...Object.fromEntries(['q', 'k', 'v', ...inputs].map((name) => [name, rows])),
      ...(gate !== 'none' && { logDecay: gate === 'scalar' ? rows.slice(0, 2) : rows }),
      starts: [1],
      lengths: [1],
      rowSequence: [tokens],
    };
    const attrs = { rows: tokens, count: 1, maxLength: tokens, isFull: true, scale: 0.1 };
    const call = { attrs: { ...attrs, segmentChunks: isCut ? 2 : undefined }, device: on, precision };
    const forward = forwardPlan({ ...call, shapes } as never) as GpuPlan;
    // The op's outputs in their order, o, state and what is saved first.
    const kept = Object.entries(forward.outputs).slice(2 + saved.length);
    const given: Shapes = {
      ...shapes,
      ...Object.fromEntries([...saved, 'dO'].map((name) => [name, rows])),
      dState: [1, heads, width, width],
    };
    const found = {
      ...given,
      ...Object.fromEntries(
        kept.filter(([, { shape }]) => !shape.includes(0)).map(([name, { shape }]) => [name, shape]),
      ),
    };
    const gradientOf = (seen: Shapes) => gradientPlan({ ...call, shapes: seen } as never) as GpuPlan;
    return { forward, given, found, gradientOf, without: gradientOf(given), backward: gradientOf(found) };
  };

  const all = dispatches.flatMap((problem) => [problem, { ...problem, isCut: true }]);

  it.each(dispatches)(
    'makes no more than it must, decay $gate, $precision',
    ({ without, kept, ...problem }) => {
      const plans = plansOf(problem);
      expect([plans.without.dispatches.length, plans.backward.dispatches.length]).toEqual([without, kept]);
    },
  );

  it('binds no more buffers than the device has for a stage', () => {
    for (const { on = roomyDevice, ...problem } of all) {
      const { forward, without, backward } = plansOf({ ...problem, on });
      for (const { kernel } of [forward, without, backward].flatMap(({ dispatches: made }) => made))
        expect(kernel.bindings.length, kernel.name).toBeLessThanOrEqual(
          on.limits.maxStorageBuffersPerShaderStage,
        );
    }
  });

  it('binds only what has come in or been made, and writes to nothing that has come in', () => {
    for (const problem of all) {
      const { found, backward } = plansOf(problem);
      const made = new Set(Object.keys(found));
      for (const { kernel, buffers } of backward.dispatches) {
        buffers.forEach((name, i) => {
          if (kernel.bindings[i] === 'read') expect(made, `${kernel.name} reads`).toContain(name);
          else expect(Object.keys(found), `${kernel.name} writes`).not.toContain(name);
        });
        buffers.forEach((name, i) => kernel.bindings[i] === 'write' && made.add(name));
      }
    }
  });

  it('has no states at either end that nobody has or asks for', () => {
    for (const problem of all) {
      for (const shapes of [plansOf(problem).given, plansOf(problem).found]) {
        const { dState = [], ...others } = shapes;
        const { outputs, dispatches: made } = plansOf(problem).gradientOf(others);
        expect(outputs['dInitialState']?.shape).toEqual([0]);
        expect(made.flatMap(({ buffers }) => buffers)).not.toContain('dState');
        const { outputs: continued } = plansOf(problem).gradientOf({ ...shapes, initialState: dState });
        expect(continued['dInitialState']?.shape).toEqual(dState);
      }
    }
  });

  it('has scratch for what it makes alone', () => {
    for (const problem of all) {
      for (const { dispatches: made, scratch } of [plansOf(problem).without, plansOf(problem).backward]) {
        const bound = made.flatMap(({ buffers }) => buffers);
        expect(bound).toEqual(expect.arrayContaining(Object.keys(scratch ?? {})));
      }
    }
  });

  it('finds nothing of a few tokens, and of tensors that are too large for the device', () => {
    const small = { ...roomyDevice, limits: { ...roomyDevice.limits, maxBufferSize: 2 ** 10 } };
    for (const problem of dispatches) {
      const few = plansOf({ ...problem, tokens: 8 });
      expect(few.found).not.toHaveProperty('chunks');
      const large = plansOf({ ...problem, on: small });
      expect(large.found).not.toHaveProperty('states');
      expect(large.forward.scratch).toHaveProperty('states');
    }
  });
});
