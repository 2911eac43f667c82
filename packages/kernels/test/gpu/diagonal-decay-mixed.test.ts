// The scan on matrix units cannot run on a software adapter: its texts are checked, and when they are planned.
// What they make was compared with float64 on a card (docs/kernels.md): outputs within 1e-3, gradients within 3e-3 relative RMS.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { forwardPlan, gradientPlan } from '../../src/diagonal-decay/gpu.ts';
import type { GpuPlan } from '../../src/gpu/kernel.ts';
import { expectValidTexts, openNullDevice, roomyDevice } from './null-device.ts';

let device: GPUDevice | undefined;

beforeAll(async () => {
  device = await openNullDevice();
});
afterAll(() => device?.destroy());

interface Problem {
  readonly tokens?: number;
  readonly dk?: number;
  readonly dv?: number;
  readonly gate?: 'none' | 'scalar' | 'vector';
  readonly bonus?: boolean;
  /** Into segments of two chunks. */
  readonly isCut?: boolean;
  readonly precision?: 'float32' | 'mixed';
  readonly on?: GPUDevice;
}

function plansOf({
  tokens = 200,
  dk = 128,
  dv = 128,
  gate = 'none',
  bonus = false,
  isCut = false,
  precision = 'mixed',
  on = roomyDevice,
}: Problem) {
  const heads = 2;
  const shapes = {
    q: [tokens, heads, dk],
    k: [tokens, heads, dk],
    v: [tokens, heads, dv],
    ...(gate !== 'none' && { logDecay: gate === 'scalar' ? [tokens, heads] : [tokens, heads, dk] }),
    ...(bonus && { bonus: [heads, dk] }),
    starts: [1],
    lengths: [1],
    rowSequence: [tokens],
  };
  const segmentChunks = isCut ? 2 : undefined;
  const attrs = {
    rows: tokens,
    count: 1,
    maxLength: tokens,
    uniform: true,
    scale: 0.1,
    segmentChunks,
  } as never;
  const call = { attrs, device: on, precision };
  const seen = { ...shapes, dO: shapes.v, dState: [1, heads, dk, dv] };
  return {
    forward: forwardPlan({ ...call, shapes }) as GpuPlan,
    backward: gradientPlan({ ...call, shapes: seen }) as GpuPlan,
  };
}

const isOnMatrixUnits = (problem: Problem): boolean =>
  Object.values(plansOf(problem)).some(({ dispatches }) =>
    dispatches.some(({ kernel }) => kernel.wgsl.includes('subgroup_matrix')),
  );

describe('the diagonal-decay scan on matrix units', () => {
  it.each([
    [128, 128],
    [64, 128],
    [128, 64],
    [64, 64],
  ])('has valid texts for heads of %i × %i', async (dk, dv) => {
    for (const gate of ['none', 'scalar', 'vector'] as const) {
      const { forward, backward } = plansOf({ dk, dv, gate, isCut: true });
      await expectValidTexts(device, forward);
      await expectValidTexts(device, backward);
    }
  });

  it('hands on nothing that no dispatch has made', () => {
    for (const gate of ['none', 'scalar', 'vector'] as const)
      for (const { dispatches, outputs, scratch } of [false, true].flatMap((isCut) =>
        Object.values(plansOf({ gate, isCut })),
      )) {
        const made = new Set<string>();
        const known = new Set(Object.keys({ ...outputs, ...scratch }));
        for (const { kernel, buffers } of dispatches) {
          buffers.forEach((name, i) => {
            if (kernel.bindings[i] === 'read' && known.has(name)) expect(made, kernel.name).toContain(name);
          });
          buffers.forEach((name, i) => kernel.bindings[i] !== 'read' && made.add(name));
        }
      }
  });

  it('is planned where mixed precision is asked for', () => {
    for (const gate of ['none', 'scalar', 'vector'] as const) {
      expect(isOnMatrixUnits({ gate })).toBe(true);
      expect(isOnMatrixUnits({ gate, precision: 'float32' })).toBe(false);
    }
  });

  it('leaves few tokens, other widths, a bonus and small devices to f32', () => {
    const small = {
      ...roomyDevice,
      limits: { ...roomyDevice.limits, maxComputeWorkgroupStorageSize: 32_768 },
    };
    const plain = { ...roomyDevice, features: new Set<GPUFeatureName>() };
    const left: Problem[] = [
      { tokens: 8 },
      { dk: 96 },
      { dv: 32 },
      { gate: 'vector', bonus: true },
      { on: small },
      { on: plain },
    ];
    for (const problem of left) expect(isOnMatrixUnits(problem)).toBe(false);
  });
});
