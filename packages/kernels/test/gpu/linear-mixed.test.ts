// The linear map on matrix units cannot run on a software adapter: its texts are checked, and when it is planned. What it makes is
// compared with float64 on a card, by `mnemix-bench kernels`.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GpuPlan } from '../../src/gpu/kernel.ts';
import {
  backwardPlan,
  columnsBackwardPlan,
  columnsForwardPlan,
  forwardPlan,
  takesList,
} from '../../src/linear/gpu.ts';
import { binding, expectValidTexts, mostBindings, openNullDevice, roomyDevice } from './null-device.ts';

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
  /** The weight is a list of so many rows each, which may be joined as well. */
  readonly list?: readonly number[];
  readonly isJoined?: boolean;
  readonly precision?: 'float32' | 'mixed';
  readonly on?: GPUDevice;
}

function plansOf({
  rows = 16_384,
  inputs = 512,
  list,
  outputs = list?.reduce((a, b) => a + b) ?? 2816,
  isJoined = list === undefined,
  hasBias = false,
  precision = 'mixed',
  on = roomyDevice,
}: Problem) {
  const shapes = {
    x: [rows, inputs],
    ...(isJoined && { weight: [outputs, inputs] }),
    ...Object.fromEntries((list ?? []).map((own, i) => [`part${i}`, [own, inputs]])),
    ...(hasBias && { bias: [outputs] }),
    dy: [rows, outputs],
  };
  const call = { shapes, device: on, precision };
  return {
    forward: forwardPlan(call),
    backward: backwardPlan(call),
    isPacked: takesList(true)(call),
    columns: (widths: readonly number[]) => [
      columnsForwardPlan(call, widths),
      columnsBackwardPlan({ ...call, shapes: { ...shapes, dPassed: shapes.x } }, widths),
    ],
  };
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
    expect(namesOf(forward)).toEqual(['PackRows', 'Linear mixed forward']);
    expect(namesOf(backward)).toEqual(['PackRows', 'Linear mixed dx', 'Linear mixed dW', 'SumRows']);
    // So many weights that their tiles fill a device: nothing is left to add up.
    const { backward: wide } = plansOf({ inputs: 2048, outputs: 4096 });
    expect(namesOf(wide)).toEqual(['PackRows', 'Linear mixed dx', 'Linear mixed dW']);
  });

  it.each<[string, Problem]>([
    ['of several', { list: [512, 512, 4, 1, 512] }],
    ['of widths that do not move in vectors', { inputs: 131, list: [512, 3, 130], rows: 65_536 }],
    ['of one', { list: [512] }],
    ['that fills a device', { inputs: 2048, list: [2048, 4, 2044] }],
    ['that is joined', { list: [512, 512], isJoined: true }],
    ['of more gradients than a stage has buffers', { list: Array(17).fill(64), isJoined: true }],
  ])('has valid texts for a list of weights %s', async (_, problem) => {
    const { forward, backward } = plansOf(problem);
    await expectValidTexts(device, forward as GpuPlan);
    await expectValidTexts(device, backward as GpuPlan);
  });

  it('packs the weights of a list one behind the other, and gives each its gradient where parts are summed', () => {
    const { forward, backward, isPacked } = plansOf({ list: [512, 4, 300] });
    expect(isPacked).toBe(true);
    expect(namesOf(forward)).toEqual(['PackRows', 'Linear mixed forward']);
    expect(namesOf(backward)).toEqual(['PackRows', 'Linear mixed dx', 'Linear mixed dW', 'SumRows to 3']);
    const { buffers, uniforms, workgroups } = (forward as GpuPlan).dispatches[0]!;
    expect(buffers.slice(0, 4)).toEqual(['x', 'part0', 'part1', 'part2']);
    // Workgroups, rows, the first row's place and the width of each.
    expect(uniforms?.map(({ value }) => value)).toEqual(
      [
        [2048, 16_384, 0, 512],
        [64, 512, 0, 512],
        [1, 4, 512, 512],
        [38, 300, 516, 512],
      ].flat(),
    );
    expect(workgroups).toEqual([2048 + 64 + 1 + 38]);
    expect(Object.entries((backward as GpuPlan).outputs).map(([name, { shape }]) => [name, shape])).toEqual([
      ['dx', [16_384, 512]],
      ['dPart0', [512, 512]],
      ['dPart1', [4, 512]],
      ['dPart2', [300, 512]],
    ]);
    // Weights whose tiles fill a device leave no parts.
    const { backward: wide } = plansOf({ inputs: 2048, list: [2048, 2048] });
    expect(namesOf(wide)).toEqual(['PackRows', 'Linear mixed dx', 'Linear mixed dW', 'SplitRows']);
  });

  it.each<[readonly number[], precision: 'mixed' | 'float32']>([
    [[512, 300, 128], 'mixed'],
    [[512, 300, 128], 'float32'],
    [[512, 3, 129], 'float32'],
  ])('has valid texts for outputs that are apart, %j in %s', async (list, precision) => {
    const [forward, backward] = plansOf({ list, precision }).columns(list);
    await expectValidTexts(device, forward as GpuPlan);
    await expectValidTexts(device, backward as GpuPlan);
    expect(Object.keys((forward as GpuPlan).outputs)).toEqual(['y0', 'y1', 'y2']);
    expect(backward?.dispatches.some(({ buffers }) => buffers.includes('dPassed'))).toBe(true);
  });

  it('binds no more tensors than the device does', () => {
    for (const limit of [8, 10, 12, 16])
      for (let count = 2; count <= 8; count++) {
        const list = Array<number>(count).fill(256);
        const ofDevice = { list, on: binding(limit) };
        const isJoined = !plansOf(ofDevice).isPacked;
        const { forward, backward, columns } = plansOf({ ...ofDevice, isJoined });
        expect(mostBindings([forward, backward, ...columns(list)])).toBeLessThanOrEqual(limit);
      }
  });

  it('has longer lists joined, as a stage has no buffers for them', () => {
    const list = Array<number>(17).fill(64);
    expect(plansOf({ list: list.slice(0, 8) }).isPacked).toBe(true);
    expect(plansOf({ list: list.slice(0, 9) }).isPacked).toBe(false);
    const { forward, backward } = plansOf({ list, isJoined: true });
    expect((forward as GpuPlan).dispatches[0]!.buffers.slice(0, 2)).toEqual(['x', 'weight']);
    expect(namesOf(backward)?.slice(3)).toEqual(['SumRows', 'SplitRows', 'SplitRows']);
  });

  it('is in float32 where it is small, narrow, precise, or more than the device has', () => {
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
      // That of one weight is the product of mat-mul.
      expect(forward).toBeUndefined();
      expect(namesOf(backward)?.[0]).toBe('Linear backward');
    }
    // As are both products of the gradient where each fills a device.
    expect(plansOf({ outputs: 8192, precision: 'float32' }).backward).toBeUndefined();
    expect(plansOf({ hasBias: true }).backward).toBeUndefined();
  });
});
