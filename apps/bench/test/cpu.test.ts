import { expect, it } from 'vitest';
import { formatCpu, type CpuResult } from '../src/cpu.ts';
import { trainingFlops } from '../src/flops.ts';
import { spread } from '../src/statistics.ts';

it('the middle of an even number of values is the mean of the two in the middle', () => {
  expect(spread([4, 1, 3, 2])).toEqual({ median: 2.5, min: 1, max: 4 });
  expect(spread([5, 1, 3])).toEqual({ median: 3, min: 1, max: 5 });
});

const cell = { type: 'gated_delta_net', heads: 1, headWidth: 4, expandV: 1, convolution: 2 } as const;
const model = (mixer: CpuResult['model']['mixer']): CpuResult['model'] => ({
  vocabSize: 16,
  width: 8,
  layers: 1,
  mlp: null,
  mixer,
});

// By hand, with d = 8, dk = dv = 4, one head: query, gate and output 2·8·(4 + 4 + 4); key, value, and the two gates
// 2·8·(4 + 4 + 2); three convolutions of two taps 2·2·12; memory 7·16; output layer 2·8·16; three times all of it.
const [common, memory, head] = [192, 160 + 48 + 112, 256];

it('the arithmetic of a cell is what counting by hand gives', () => {
  expect(trainingFlops(model(cell))).toBe(3 * (common + memory + head));
});

it('the arithmetic of a Mixture-of-Memories counts the memories that a token is written to, and the router', () => {
  const mixer = { type: 'mom', memories: 4, topK: 2, shared: true, cell } as const;
  expect(trainingFlops(model(mixer))).toBe(3 * (common + 2 * 8 * 4 + 3 * memory + head));
});

it('a result is printed as two tables in Markdown', () => {
  const result: CpuResult = {
    machine: {
      node: 'v20.20.0',
      backend: {
        name: 'wasm',
        features: [],
        limits: {},
        threads: 2,
        simd: true,
        software: false,
        rejected: [],
      },
    },
    model: model(cell),
    tokensPerStep: 4096,
    milliseconds: { median: 200, min: 190, max: 250 },
    tokensPerSecond: { median: 20_480, min: 16_384, max: 21_558 },
    flopsPerToken: 337_000,
    peakGflops: 18.4,
    shareOfBound: 0.375,
    kernels: [
      { name: 'mnemix/Linear', calls: 3, milliseconds: 30 },
      { name: 'Add', calls: 2, milliseconds: 10 },
    ],
  } as CpuResult;
  const printed = formatCpu(result);
  expect(printed).toContain('Node v20.20.0, backend wasm, 2 threads.');
  expect(printed).toContain('| tokens a second, median (min – max) | **20,480** (16,384 – 21,558) |');
  expect(printed).toContain('| share of the arithmetic bound | 37.5 % |');
  expect(printed).toContain('| mnemix/Linear | 3 | 30.00 | 75.0 % |');
});
