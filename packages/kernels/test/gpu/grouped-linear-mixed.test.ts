// The grouped linear map on matrix units cannot run on a software adapter: its texts are checked, and when they are planned.
// What they make is compared with float64 on a card, by `mnemix-bench kernels --only groupedLinear`.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GpuPlan } from '../../src/gpu/kernel.ts';
import { backwardPlan, forwardPlan } from '../../src/grouped-linear/gpu.ts';
import { expectValidTexts, openNullDevice, roomyDevice } from './null-device.ts';

let device: GPUDevice | undefined;

beforeAll(async () => {
  device = await openNullDevice();
});
afterAll(() => device?.destroy());

interface Problem {
  readonly inputs?: number;
  readonly outputs?: number;
  readonly rows?: number;
  readonly hasBias?: boolean;
  readonly precision?: 'float32' | 'mixed';
  readonly on?: GPUDevice;
}

function plansOf({
  inputs = 512,
  outputs = 1032,
  rows = 49_152,
  hasBias = false,
  precision = 'mixed',
  on = roomyDevice,
}: Problem) {
  const groups = 5;
  const shapes = {
    x: [rows, inputs],
    weight: [groups, outputs, inputs],
    ...(hasBias && { bias: [groups, outputs] }),
    starts: [groups],
    lengths: [groups],
    rowSequence: [rows],
    dy: [rows, outputs],
  };
  const call = { shapes: shapes as never, device: on, precision };
  return { forward: forwardPlan(call) as GpuPlan, backward: backwardPlan(call) as GpuPlan };
}

const namesOf = ({ dispatches }: GpuPlan): string[] => dispatches.map(({ kernel }) => kernel.name);

describe('the grouped linear map on matrix units', () => {
  it.each([
    [512, 1032, false],
    [512, 512, true],
    [129, 515, true],
    [130, 516, false],
    [516, 130, false],
    [64, 4100, true],
  ])('has valid texts for %i to %i, bias: %s', async (inputs, outputs, hasBias) => {
    const { forward, backward } = plansOf({ inputs, outputs, hasBias });
    await expectValidTexts(device, forward);
    await expectValidTexts(device, backward);
  });

  it('is planned for large maps where mixed precision is asked for', () => {
    const { forward, backward } = plansOf({ hasBias: true });
    expect(namesOf(forward)).toEqual(['GroupedLinear pack', 'GroupedLinear mixed forward']);
    expect(namesOf(backward)).toEqual([
      'GroupedLinear pack',
      'GroupedLinear mixed dx',
      'GroupedLinear mixed dW',
      'GroupedLinear sum',
      'GroupedLinear db',
      'GroupedLinear sum',
    ]);
  });

  const less = { ...roomyDevice, limits: { ...roomyDevice.limits, maxComputeWorkgroupStorageSize: 32_768 } };
  it.each<[string, Problem]>([
    ['in float32', { precision: 'float32' }],
    ['of few rows', { rows: 64 }],
    ['of narrow rows', { inputs: 32, rows: 200_000 }],
    ['without subgroups', { on: { ...roomyDevice, features: new Set() } as unknown as GPUDevice }],
    ['with little workgroup memory', { on: less as GPUDevice }],
  ])('is in float32 for maps %s', (_, problem) => {
    const { forward, backward } = plansOf(problem);
    expect(namesOf(forward)).toEqual(['GroupedLinear forward']);
    expect(namesOf(backward)).toEqual(['GroupedLinear dx', 'GroupedLinear dW', 'GroupedLinear sum']);
  });
});
