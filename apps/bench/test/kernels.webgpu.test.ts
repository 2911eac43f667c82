import { closeBackend } from '@mnemix/tensor';
import { afterAll, expect, it } from 'vitest';
import { benchKernels, formatKernels, type KernelsResult } from '../src/kernels/index.ts';

/** `real`, `software` or `none`: what the test run has found. */
const adapter = process.env.MNEMIX_WEBGPU;

afterAll(closeBackend);

it.skipIf(adapter !== 'real' && adapter !== 'software')(
  'kernels are measured beside the stock ones, and both are right',
  async () => {
    const backend = adapter === 'real' ? 'webgpu' : 'webgpu-software';
    const seen: string[] = [];
    const result = await benchKernels({ backend, quick: true, onResult: ({ shape }) => seen.push(shape) });
    expect(seen.slice(0, 2)).toEqual(['33×40 · 40×36', '40×24ᵀ · 20×40ᵀ']);
    for (const { error, stockError, ours, stock, ratio } of result.results) {
      expect(error).toBeLessThan(1e-3);
      expect(stockError).toBeLessThan(1e-5);
      expect(ours.wall.median).toBeGreaterThan(0);
      expect(stock.wall.median).toBeGreaterThan(0);
      expect(ratio).toBeGreaterThan(0);
    }
    if (adapter === 'software') expect(result.left).toMatchObject([{ variant: 'mixed' }]);
  },
);

it('a result is printed as a table in Markdown', () => {
  const spread = (median: number) => ({ median, min: median, max: 2 * median });
  const result: KernelsResult = {
    node: 'v20.20.0',
    backend: {
      name: 'webgpu',
      adapter: { vendor: 'someone', architecture: '', description: 'card' },
      features: [],
      limits: {},
      threads: 1,
      simd: false,
      software: false,
      rejected: [],
    },
    quick: false,
    left: [{ variant: 'mixed', reason: 'the adapter has no shader-f16' }],
    results: [
      {
        op: 'matMul',
        shape: '1024×1024 · 1024×1024',
        variant: 'float32',
        ours: { wall: spread(1), device: spread(0.5) },
        stock: { wall: spread(2), device: spread(1) },
        ratio: 2,
        flops: 2e9,
        bytes: 12e6,
        error: 1e-7,
        stockError: 2e-7,
      },
    ],
  };
  const printed = formatKernels(result);
  expect(printed).toContain('Kernels on someone card, Node v20.20.0.');
  expect(printed).toContain('No mixed: the adapter has no shader-f16.');
  expect(printed).toContain(
    '| matMul | 1024×1024 · 1024×1024 | float32 | 0.5000 (0.5000 – 1.0000) | 1.0000 (1.0000 – 2.0000) | 2.00 | 4.00 | 24 | 1.0e-7 | 2.0e-7 |',
  );
});
