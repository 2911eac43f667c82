// The delta rule on matrix units cannot run on a software adapter: its texts are checked, and when they are planned. So are those in
// float32 that bind more buffers than a software adapter has.
// What they make was compared with float64 on a card (docs/kernels.md): outputs within 1e-3, gradients within 3e-3 relative RMS.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { forwardPlan, gradientPlan } from '../../src/delta-rule/gpu.ts';
import type { GpuPlan } from '../../src/gpu/kernel.ts';
import { binding, expectValidTexts, mostBindings, openNullDevice, roomyDevice } from './null-device.ts';

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
  /** β is given. */
  readonly strengths?: boolean;
  readonly erase?: boolean;
  readonly eraseBeforeDecay?: boolean;
  readonly initial?: boolean;
  /** Something depends on the last states. */
  readonly usesState?: boolean;
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
  strengths = true,
  erase = false,
  eraseBeforeDecay = false,
  initial = false,
  usesState = true,
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
    ...(strengths && { beta: [tokens, heads] }),
    ...(erase && { erase: [tokens, heads, dk] }),
    ...(initial && { initialState: [1, heads, dk, dv] }),
    starts: [1],
    lengths: [1],
    rowSequence: [tokens],
  };
  const attrs = {
    rows: tokens,
    count: 1,
    maxLength: tokens,
    uniform: undefined,
    scale: 0.1,
    segmentChunks: isCut ? 2 : undefined,
    eraseBeforeDecay,
  } as never;
  const call = { attrs, device: on, precision };
  const seen = {
    ...shapes,
    corrected: shapes.v,
    dO: shapes.v,
    ...(usesState && { dState: [1, heads, dk, dv] }),
  };
  return {
    forward: forwardPlan({ ...call, shapes }) as GpuPlan,
    backward: gradientPlan({ ...call, shapes: seen }) as GpuPlan,
  };
}

const isOnMatrixUnits = (problem: Problem): boolean =>
  Object.values(plansOf(problem)).some(({ dispatches }) =>
    dispatches.some(({ kernel }) => kernel.wgsl.includes('subgroup_matrix')),
  );

describe('the delta rule on matrix units', () => {
  it.each([
    [128, 128],
    [64, 128],
    [128, 64],
    [64, 64],
  ])('has valid texts for heads of %i × %i', async (dk, dv) => {
    for (const gate of ['none', 'scalar', 'vector'] as const) {
      for (const given of [true, false]) {
        const { forward, backward } = plansOf({
          dk,
          dv,
          gate,
          strengths: given,
          initial: given,
          isCut: given,
        });
        await expectValidTexts(device, forward);
        await expectValidTexts(device, backward);
      }
    }
  });

  it('hands on nothing that no dispatch has made', () => {
    for (const gate of ['none', 'scalar', 'vector'] as const)
      for (const { dispatches, outputs, scratch } of [false, true].flatMap((isCut) =>
        Object.values(plansOf({ gate, isCut, usesState: isCut })),
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

  it('leaves few tokens, other widths, own erase keys and small devices to f32', () => {
    const small = {
      ...roomyDevice,
      limits: { ...roomyDevice.limits, maxComputeWorkgroupStorageSize: 32_768 },
    };
    const plain = { ...roomyDevice, features: new Set<GPUFeatureName>() };
    const left: Problem[] = [
      { tokens: 8 },
      { dk: 96 },
      { dv: 32 },
      { erase: true },
      { gate: 'scalar', eraseBeforeDecay: true },
      { on: small },
      { on: plain },
    ];
    for (const problem of left) expect(isOnMatrixUnits(problem)).toBe(false);
  });
});

describe('the delta rule on a device that binds fewer tensors', () => {
  it.each([
    ['none', 11],
    ['scalar', 13],
    ['vector', 13],
  ] as const)('is on matrix units with decay %s from %i on', async (gate, least) => {
    const plans = Object.values(plansOf({ gate, initial: true, on: binding(least) }));
    expect(mostBindings(plans)).toBe(least);
    for (const plan of plans) await expectValidTexts(device, plan);
    expect(isOnMatrixUnits({ gate, on: binding(least) })).toBe(true);
    expect(isOnMatrixUnits({ gate, on: binding(least - 1) })).toBe(false);
  });
});

describe('the delta rule in float32', () => {
  const oneGate: Problem = { gate: 'scalar', precision: 'float32' };
  const stagesOf = (on: GPUDevice) =>
    plansOf({ ...oneGate, on }).backward.dispatches.map(({ kernel }) => kernel);

  it('finishes in the dispatch of the gates where a stage has the 15 buffers for both', () => {
    const both = stagesOf(binding(15));
    const apart = stagesOf(binding(14));
    const lastOf = (kernels: typeof both) =>
      kernels.map(({ name }) => name).filter((name) => /gate gradient|finish/.test(name));
    expect(lastOf(both)).toEqual(['LowRank gate gradient and DeltaRule finish']);
    expect(lastOf(apart)).toEqual(['LowRank gate gradient', 'DeltaRule finish']);
    expect(mostBindings([plansOf({ ...oneGate, on: binding(15) }).backward])).toBe(15);
  });

  it('has valid texts, of any width', async () => {
    for (const dk of [128, 33])
      for (const given of [true, false])
        await expectValidTexts(device, plansOf({ ...oneGate, dk, strengths: given, erase: given }).backward);
  });
});
