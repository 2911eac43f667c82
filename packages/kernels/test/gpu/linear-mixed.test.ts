// The linear map on matrix units cannot run on a software adapter: its texts are checked, and when it is planned. What it makes is
// compared with float64 on a card, by `mnemix-bench kernels`.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GpuPlan } from '../../src/gpu/kernel.ts';
import { backwardPlan, forwardPlan } from '../../src/linear/gpu.ts';
import { expectValidTexts, openNullDevice, roomyDevice } from './null-device.ts';

let device: GPUDevice | undefined;

beforeAll(async () => {
  device = await openNullDevice();
});
afterAll(() => device?.destroy());

interface Problem {
  readonly rows?: number;
  readonly inputs?: number;
  readonly outputs?: number;
  readonly hasBias?: boolean;
  readonly precision?: 'float32' | 'mixed';
  readonly on?: GPUDevice;
}

function plansOf({
  rows = 16_384,
  inputs = 512,
  outputs = 2816,
  hasBias = false,
  precision = 'mixed',
  on = roomyDevice,
}: Problem) {
  const shapes = {
    x: [rows, inputs],
    weight: [outputs, inputs],
    ...(hasBias && { bias: [outputs] }),
    dy: [rows, outputs],
  };
  const call = { shapes: shapes as never, attrs: {}, device: on, precision };
  return { forward: forwardPlan(call), backward: backwardPlan(call) };
}

const namesOf = (plan: GpuPlan | undefined) => plan?.dispatches.map(({ kernel }) => kernel.name);

describe('the linear map on matrix units', () => {
  it.each([
    [512, 2816],
    [512, 130],
    [131, 517],
  ])('has valid texts for %i to %i', async (inputs, outputs) => {
    for (const hasBias of [false, true]) {
      const { forward, backward } = plansOf({ rows: 65_536, inputs, outputs, hasBias });
      await expectValidTexts(device, forward as GpuPlan);
      if (!hasBias) await expectValidTexts(device, backward as GpuPlan);
    }
  });

  it('packs once for all products of the gradient', () => {
    const { forward, backward } = plansOf({ outputs: 512 });
    expect(namesOf(forward)).toEqual(['GroupedLinear pack', 'Linear mixed forward']);
    expect(namesOf(backward)).toEqual([
      'GroupedLinear pack',
      'Linear mixed dx',
      'Linear mixed dW',
      'SumRows',
    ]);
    // So many weights that their tiles fill a device: nothing is left to add up.
    const { backward: wide } = plansOf({ inputs: 2048, outputs: 4096 });
    expect(namesOf(wide)).toEqual(['GroupedLinear pack', 'Linear mixed dx', 'Linear mixed dW']);
  });

  it('leaves to the products of mat-mul what is small, narrow, precise, or more than the device has', () => {
    const cases: Problem[] = [
      { rows: 64 },
      { outputs: 4 },
      { precision: 'float32' },
      { on: { ...roomyDevice, features: new Set() } as unknown as GPUDevice },
      {
        on: { ...roomyDevice, limits: { ...roomyDevice.limits, maxComputeWorkgroupStorageSize: 16_384 } },
      },
    ];
    for (const problem of cases) {
      const { forward, backward } = plansOf(problem);
      expect([forward, backward]).toEqual([undefined, undefined]);
    }
    expect(plansOf({ hasBias: true }).backward).toBeUndefined();
  });
});
