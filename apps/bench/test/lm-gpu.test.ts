import { expect, it } from 'vitest';
import { formatLmGpu } from '../src/lm-gpu/format.ts';
import type { LmGpuResult } from '../src/lm-gpu/index.ts';
import { card } from './card.ts';

const spread = (median: number) => ({ median, min: median, max: 2 * median });

it('the benchmark of a language model is printed with its ratios to the portable path', () => {
  const training = {
    form: 'ours',
    precision: 'float32',
    batch: 8,
    failures: [],
    wall: spread(100),
    encoding: spread(20),
    tokensPerSecond: spread(163_840),
    kernelMilliseconds: 90,
    dispatches: 500,
    dispatchesPerBlock: 55,
    kernels: [],
    reads: 0,
    losses: [9.01, 8.5],
    warmUpMilliseconds: 1000,
    firstStepMilliseconds: 110,
  } as const;
  const result: LmGpuResult = {
    command: 'bench lm-gpu',
    node: 'v20.20.0',
    backend: card,
    quick: false,
    shape: {
      model: { vocabSize: 8192, width: 512, layers: 8, mixer: { type: 'gla', heads: 4 } as never, mlp: null },
      batch: 8,
      tokens: 2048,
      decoded: 32,
    },
    training: [
      training,
      {
        ...training,
        form: 'portable',
        batch: 2,
        tokensPerSecond: spread(8192),
        failures: [{ batch: 8, reason: 'no memory' }],
      },
    ],
    decode: [
      { form: 'ours', precision: 'float32', wall: spread(2), kernelMilliseconds: 1, dispatches: 200 },
      { form: 'portable', precision: 'float32', wall: spread(12) },
    ],
    left: [],
  };
  const printed = formatLmGpu(result);
  expect(printed).toContain('| ours | float32 | 8 | 163840 (163840 – 327680) | 20.0 |');
  expect(printed).toContain('| 90.0 | 500 | 55 | 0 | 9.010 → 8.500 |');
  expect(printed).toContain('- portable, float32: 8 sequences failed: no memory');
  expect(printed).toContain('| ours | float32 | 2.00 (2.00 – 4.00) | 6.0 | 1.00 | 200 |');
  expect(printed).toContain('compiling ahead took 1000 ms, the first step after it 110 ms');
});
