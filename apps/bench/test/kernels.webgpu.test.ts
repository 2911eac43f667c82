import { closeBackend } from '@mnemix/tensor';
import { afterAll, expect, it } from 'vitest';
import { families } from '../src/kernels/cases/index.ts';
import { drawKernels } from '../src/kernels/figure.ts';
import { benchKernels, formatKernels, type KernelResult, type KernelsResult } from '../src/kernels/index.ts';
import { ratiosTo, rooflineShare, withForms } from '../src/kernels/numbers.ts';
import { card } from './card.ts';

/** `real`, `software` or `none`: what the test run has found. */
const adapter = process.env.MNEMIX_WEBGPU;

afterAll(closeBackend);

it.skipIf(adapter !== 'real' && adapter !== 'software')(
  'kernels are measured beside their portable forms, and are right forward and backward',
  async () => {
    const backend = adapter === 'real' ? 'webgpu' : 'webgpu-software';
    const seen: number[] = [];
    const profiled: string[] = [];
    const result = await benchKernels({
      command: 'bench kernels',
      backend,
      quick: true,
      only: ['swiGlu', 'shortConv'],
      onResult: (_, all) => void seen.push(all.results.length),
      onProfile: (name) => profiled.push(name),
    });
    expect(seen).toEqual([1, 2, 3, 4]);
    expect(result.results.map(({ op, pass }) => `${op} ${pass}`)).toEqual([
      'short convolution forward',
      'short convolution training',
      'SwiGLU forward',
      'SwiGLU training',
    ]);
    for (const { forms, failures, error = 0, gradientDifference = 0 } of result.results) {
      const kernels = forms.ours?.kernels ?? [];
      expect(forms.portable?.kernels).toBeUndefined();
      expect(failures).toEqual({});
      expect(error).toBeLessThan(1e-5);
      expect(gradientDifference).toBeLessThan(1e-4);
      expect(forms.ours?.wall.median).toBeGreaterThan(0);
      expect(forms.portable?.wall.median).toBeGreaterThan(0);
      expect(forms.ours?.dispatches ?? 1).toBeLessThanOrEqual(forms.portable?.dispatches ?? 1);
      expect(kernels.length).toBe(new Set(kernels.map(({ name }) => name)).size);
    }
    expect(profiled.length).toBeLessThanOrEqual(4);
    if (adapter === 'software') expect(result.left).toMatchObject([{ variant: 'mixed' }]);
  },
  480_000,
);

const spread = (median: number) => ({ median, min: median, max: 2 * median });
const forward: KernelResult = {
  family: 'diagonalDecay',
  op: 'diagonal decay, none',
  shape: '8×2048×8×128',
  precision: 'float32',
  pass: 'forward',
  isMain: true,
  forms: {
    ours: { wall: spread(1), device: spread(0.5), dispatches: 4 },
    portable: { wall: spread(4), device: spread(3), dispatches: 90 },
    naive: { wall: spread(90), scale: 32 },
  },
  failures: {},
  cost: { flops: 1e10, bytes: 1e8 },
  error: 1e-7,
};
const longer = (tokens: number, median: number): KernelResult => ({
  ...forward,
  family: 'linearity',
  shape: `1×${tokens}×8×128`,
  isMain: false,
  forms: { ours: { wall: spread(median) } },
});
const result: KernelsResult = {
  command: 'bench kernels --out results',
  node: 'v20.20.0',
  backend: card,
  quick: false,
  ceilings: { bytesPerSecond: 1e12, flopsPerSecond: 4e13 },
  left: [{ variant: 'mixed', reason: 'the adapter has no shader-f16' }],
  results: [
    forward,
    {
      ...forward,
      precision: 'mixed',
      forms: { ours: { wall: spread(0.5), device: spread(0.2), dispatches: 4 } },
    },
    { ...forward, op: 'SwiGLU', isMain: false, forms: {}, failures: { ours: 'no memory' } },
    longer(2048, 2),
    longer(4096, 2.5),
  ],
};

it('other forms are compared by the same clock, in mixed precision with those of float32', () => {
  expect(ratiosTo(forward, 'portable')).toEqual({ device: 6, wall: 4 });
  const mixed = result.results[1] as KernelResult;
  expect(ratiosTo(mixed, 'portable')).toBeUndefined();
  expect(ratiosTo(withForms(mixed, result.results), 'portable')?.device).toBeCloseTo(15);
});

it('the roofline is the slower of bytes and operations', () => {
  expect(rooflineShare(forward, result.ceilings)).toBeCloseTo(0.25 / 0.5);
});

it('a result is printed as tables in Markdown: targets, everything, linear cost', () => {
  const printed = formatKernels(result);
  expect(printed).toContain('Kernels on someone card, Node v20.20.0: `bench kernels --out results`.');
  expect(printed).toContain('- Not measured: mixed: the adapter has no shader-f16.');
  expect(printed).toContain('no ours form: no memory');
  expect(printed).toContain('| diagonal decay, none | float32 | forward | 0.500 | 0.60 | 0.100 | yes |');
  expect(printed).toContain('| 20.00 | 200 | 50 % | 6.0; 4.0 | 180.0; 90.0 | 1.0e-7 |');
  expect(printed).toContain('| 1×4096×8×128 | forward | 2.50 (2.50 – 5.00) | 1.25 | 1.10 |');
});

it('a result is drawn as SVG', () => {
  const svg = drawKernels(result);
  expect(svg).toMatch(/^<svg/);
  expect(svg).toContain('diagonal decay, none, mixed');
});

it('every case has a name of its own', () => {
  for (const quick of [true, false]) {
    const names = Object.values(families).flatMap((cases) =>
      cases({ quick }).map(({ family, op, shape }) => `${family} ${op} ${shape}`),
    );
    expect(new Set(names).size).toBe(names.length);
  }
});
