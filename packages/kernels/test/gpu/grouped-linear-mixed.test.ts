// The grouped linear map on matrix units cannot run on a software adapter: its texts are checked, and when they are planned.
// What they make is compared with float64 on a card, by `mnemix-bench kernels --only groupedLinear`.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GpuPlan } from '../../src/gpu/kernel.ts';
import {
  backwardPlan,
  columnsBackwardPlan,
  columnsForwardPlan,
  forwardPlan,
  packsList,
} from '../../src/grouped-linear/gpu.ts';
import { binding, expectValidTexts, mostBindings, openNullDevice, roomyDevice } from './null-device.ts';

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
  readonly groups?: number;
  /** The weights are a list of so many rows for each group, which may be joined as well. */
  readonly widths?: readonly number[];
  readonly isJoined?: boolean;
  readonly precision?: 'float32' | 'mixed';
  readonly on?: GPUDevice;
}

function plansOf({
  inputs = 512,
  groups = 5,
  widths,
  outputs = widths?.reduce((a, b) => a + b) ?? 1032,
  isJoined = widths === undefined,
  rows = 49_152,
  hasBias = false,
  precision = 'mixed',
  on = roomyDevice,
}: Problem) {
  const shapes = {
    x: [rows, inputs],
    ...(isJoined && { weight: [groups, outputs, inputs] }),
    ...Object.fromEntries(
      Array.from({ length: groups }, () => widths ?? [])
        .flat()
        .map((own, i) => [`part${i}`, [own, inputs]]),
    ),
    ...(hasBias && { bias: [groups, outputs] }),
    starts: [groups],
    lengths: [groups],
    rowSequence: [rows],
    dy: [rows, outputs],
  };
  const call = { shapes, device: on, precision };
  return {
    forward: forwardPlan(call) as GpuPlan,
    backward: backwardPlan(call) as GpuPlan,
    isPacked: packsList(call),
    columns: (own: readonly number[]) => [columnsForwardPlan(call, own), columnsBackwardPlan(call, own)],
  };
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
    expect(namesOf(forward)).toEqual(['PackRows', 'GroupedLinear mixed forward']);
    expect(namesOf(backward)).toEqual([
      'PackRows',
      'GroupedLinear mixed dx',
      'GroupedLinear mixed dW',
      'GroupedLinear sum',
      'GroupedLinear db',
      'GroupedLinear sum',
    ]);
  });

  it.each<[string, Problem]>([
    ['a list', { groups: 2, widths: [512, 1, 4, 131], hasBias: true }],
    ['one weight a group', { groups: 3, widths: [512] }],
    ['a list that is joined', { widths: [512, 512, 4, 4], isJoined: true }],
  ])('has valid texts for %s', async (_, problem) => {
    const { forward, backward } = plansOf(problem);
    await expectValidTexts(device, forward);
    await expectValidTexts(device, backward);
  });

  it('sums to each weight of a list, joined where a stage has no buffers to pack it', () => {
    const { forward, backward, isPacked } = plansOf({ groups: 2, widths: [512, 4] });
    expect(isPacked).toBe(true);
    expect(forward.dispatches[0]!.buffers.slice(0, 5)).toEqual(['x', 'part0', 'part1', 'part2', 'part3']);
    expect(namesOf(backward).slice(3)).toEqual(['GroupedLinear sum to 4']);
    const long = plansOf({ widths: [512, 512, 4, 4], isJoined: true });
    expect(long.isPacked).toBe(false);
    expect(long.forward.dispatches[0]!.buffers.slice(0, 2)).toEqual(['x', 'weight']);
    expect(namesOf(long.backward).slice(3)).toEqual(['GroupedLinear sum to 14', 'GroupedLinear sum to 6']);
  });

  it('has valid texts for outputs that are apart, which it writes and packs where they lie', async () => {
    const [forward, backward] = plansOf({ widths: [512, 512, 4, 4], isJoined: true }).columns([
      512, 512, 4, 4,
    ]);
    await expectValidTexts(device, forward as GpuPlan);
    await expectValidTexts(device, backward as GpuPlan);
    expect(Object.keys((forward as GpuPlan).outputs)).toEqual(['y0', 'y1', 'y2', 'y3']);
    expect(namesOf(forward as GpuPlan)).toEqual(['PackRows', 'GroupedLinear mixed forward']);
    expect(backward?.dispatches[0]?.buffers.slice(0, 6)).toEqual(['x', 'dy0', 'dy1', 'dy2', 'dy3', 'weight']);
    // A vector is to be of one alone, and rows are to stay in registers.
    expect(plansOf({ outputs: 1030 }).columns([512, 514, 4])).toEqual([undefined, undefined]);
    expect(plansOf({ outputs: 4096 }).columns([2048, 2048])).toEqual([undefined, undefined]);
  });

  it('binds no more tensors than the device does', () => {
    for (const limit of [8, 10, 12, 16])
      for (const [groups, count] of [
        [2, 2],
        [2, 4],
        [3, 2],
        [4, 2],
        [4, 4],
      ] as const) {
        const widths = Array<number>(count).fill(256);
        const ofDevice = { groups, widths, on: binding(limit) };
        const isJoined = !plansOf(ofDevice).isPacked;
        const { forward, backward, columns } = plansOf({ ...ofDevice, isJoined });
        expect(mostBindings([forward, backward, ...columns(widths)])).toBeLessThanOrEqual(limit);
      }
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
    expect(namesOf(backward)).toEqual(['GroupedLinear backward', 'GroupedLinear sum']);
  });
});
