// What the gradients of scans in chunks find made by the forward pass: plans alone, so that matrix units are not needed.
import { describe, expect, it } from 'vitest';
import * as deltaRule from '../../src/delta-rule/gpu.ts';
import * as diagonalDecay from '../../src/diagonal-decay/gpu.ts';
import type { GpuPlan } from '../../src/gpu/kernel.ts';
import { roomyDevice } from './null-device.ts';

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
  readonly dispatches: Readonly<Record<string, readonly [without: number, kept: number]>>;
}

const scans: Readonly<Record<string, Scan>> = {
  'the delta rule': {
    ...deltaRule,
    inputs: [],
    saved: ['corrected'],
    dispatches: {
      'none float32': [15, 9],
      'scalar float32': [17, 10],
      'vector float32': [19, 14],
      'none mixed': [11, 9],
      'scalar mixed': [13, 10],
      'vector mixed': [17, 15],
    },
  },
  'diagonal decay': {
    ...diagonalDecay,
    inputs: [],
    saved: [],
    dispatches: {
      'none float32': [8, 5],
      'scalar float32': [10, 6],
      'vector float32': [12, 9],
      'none mixed': [6, 4],
      'scalar mixed': [8, 5],
      'vector mixed': [11, 9],
    },
  },
};

const gates = ['none', 'scalar', 'vector'] as const;
const precisions = ['float32', 'mixed'] as const;
const problems = gates.flatMap((gate) => precisions.map((precision) => ({ gate, precision })));

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
    return { forward, found, without: gradientOf(given), backward: gradientOf(found) };
  };

  const all = problems.flatMap((problem) => [problem, { ...problem, isCut: true }]);

  it.each(problems)('makes no more than it must, decay $gate, $precision', (problem) => {
    const { without, backward } = plansOf(problem);
    const counts = [without, backward].map((plan) => plan.dispatches.length);
    expect(counts).toEqual(dispatches[`${problem.gate} ${problem.precision}`]);
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
    for (const problem of problems) {
      const few = plansOf({ ...problem, tokens: 8 });
      expect(few.found).not.toHaveProperty('chunks');
      const large = plansOf({ ...problem, on: small });
      expect(large.found).not.toHaveProperty('states');
      expect(large.forward.scratch).toHaveProperty('states');
    }
  });
});
