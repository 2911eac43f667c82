// Attention on matrix units cannot run on a software adapter: its texts are checked, and when they are planned.
// What they make was compared with float64 on a card (docs/kernels.md).
import { setMatrixUnits } from '@mnemix/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { backwardPlan, forwardPlan } from '../../src/attention/gpu.ts';
import type { Attrs } from '../../src/attention/op.ts';
import type { GpuPlan } from '../../src/gpu/kernel.ts';
import { expectValidTexts, openNullDevice, roomyDevice } from './null-device.ts';

let device: GPUDevice | undefined;

beforeAll(async () => {
  device = await openNullDevice();
});
afterAll(() => device?.destroy());

/** In float32 plans ask whether there are matrix units, too. */
const unitDevice = { ...roomyDevice } as GPUDevice;
setMatrixUnits(unitDevice);

interface Problem {
  readonly tokens?: number;
  readonly headWidth?: number;
  readonly cached?: number;
  readonly precision?: 'float32' | 'mixed';
  readonly on?: GPUDevice;
}

function plansOf({
  tokens = 200,
  headWidth = 128,
  cached = 0,
  precision = 'mixed',
  on = roomyDevice,
}: Problem) {
  const [heads, kvHeads] = [2, 1];
  const attrs: Attrs = {
    rows: tokens,
    count: 1,
    maxLength: tokens,
    uniform: true,
    isFull: true,
    heads,
    kvHeads,
    headWidth,
    scale: headWidth ** -0.5,
    block: undefined,
    groups: [{ kind: 'tokens', queries: 0, nearest: 0, farthest: Infinity, far: undefined }],
  } as unknown as Attrs;
  const rows = (width: number): [number, number] => [tokens, width * headWidth];
  const shapes = {
    starts: [1],
    lengths: [1],
    rowSequence: [tokens],
    queries0: rows(heads),
    keys0: rows(kvHeads),
    values0: rows(kvHeads),
    ...(cached > 0 && { keysBefore0: [1, cached, kvHeads * headWidth], position: [1] }),
  };
  const call = { attrs, device: on, precision };
  const seen = { ...shapes, o: rows(heads), logSumExp: [tokens, heads], dO: rows(heads) };
  return {
    forward: forwardPlan({ ...call, shapes }) as GpuPlan,
    backward: backwardPlan({ ...call, shapes: seen }) as GpuPlan,
  };
}

const mixedKernels = (problem: Problem): string[] =>
  Object.values(plansOf(problem)).flatMap(({ dispatches }) =>
    dispatches.map(({ kernel }) => kernel.name).filter((name) => /^Attention (mixed|split)/.test(name)),
  );

describe('attention on matrix units', () => {
  it.each([128, 48, 18])('has valid texts for heads of %i columns', async (headWidth) => {
    for (const precision of ['mixed', 'float32'] as const)
      for (const plan of Object.values(plansOf({ headWidth, precision, on: unitDevice })))
        await expectValidTexts(device, plan);
  });

  it('is planned where mixed precision is asked for', () => {
    expect(mixedKernels({})).toEqual([
      'Attention mixed forward 128',
      'Attention mixed query gradient 128',
      'Attention mixed key gradient 128',
    ]);
    expect(mixedKernels({ headWidth: 18 })).toContain('Attention mixed forward 32');
  });

  it('is planned in float32 with two numbers for each value, where there are matrix units', () => {
    expect(mixedKernels({ precision: 'float32', on: unitDevice })).toEqual([
      'Attention split forward 128',
      'Attention split query gradient 128',
      'Attention split key gradient 128',
    ]);
    expect(mixedKernels({ precision: 'float32' })).toEqual([]);
  });

  it('leaves few tokens, wide heads and small devices to f32', () => {
    const small = {
      ...roomyDevice,
      limits: { ...roomyDevice.limits, maxComputeWorkgroupStorageSize: 32_768 },
    } as GPUDevice;
    for (const problem of [{ tokens: 40 }, { headWidth: 256 }, { on: small }])
      expect(mixedKernels(problem)).toEqual([]);
    for (const problem of [{ tokens: 40 }, { headWidth: 256 }])
      expect(mixedKernels({ ...problem, precision: 'float32', on: unitDevice })).toEqual([]);
  });

  it('leaves a cache to f32, beside the rows on matrix units', () => {
    const { dispatches } = plansOf({ cached: 30 }).forward;
    expect(dispatches.map(({ kernel }) => kernel.name)).toEqual([
      'Attention sequences',
      'Attention pack',
      'Attention pack',
      'Attention pack',
      'Attention forward 128',
      'Attention mixed forward 128',
    ]);
  });

  it('packs an operand once for all passes that read it', () => {
    const { dispatches } = plansOf({}).backward;
    expect(dispatches.filter(({ kernel }) => kernel.name.startsWith('Attention pack'))).toHaveLength(4);
  });
});
