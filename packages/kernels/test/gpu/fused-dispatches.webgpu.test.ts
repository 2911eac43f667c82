// The ops around the mixers run as a few dispatches of their own, forward and backward, and not as their portable forms.
import { describeOnWebgpu, nd, seededRandom } from '@mnemix/testkit';
import { closeBackend, openBackend, tensor1d } from '@mnemix/tensor';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { stepText } from '../../src/adam-w/texts.ts';
import {
  adamWAll,
  addRmsNorm,
  crossEntropy,
  deltaGates,
  embedding,
  globalNorms,
  joinRows,
  l2Norm,
  l2NormPair,
  layerNorm,
  linears,
  rmsNorm,
  rmsNormGated,
  rotary,
  swiGlu,
} from '../../src/index.ts';
import { float32, int32, runOp, toTensor, type Arrays, type Tensors } from '../op-cases.ts';

// A software adapter takes a while to compile a pipeline.
vi.setConfig({ testTimeout: 300_000 });

const random = seededRandom(1);
const draw = (...shape: number[]) => float32(random.normals(shape));

interface Case {
  readonly name: string;
  readonly inputs: Arrays;
  readonly op: (inputs: Tensors) => Tensors;
  /** The kernels that it runs, in order. */
  readonly kernels: readonly string[];
}

const cases: readonly Case[] = [
  {
    name: 'rmsNorm',
    inputs: { x: draw(3, 8), weight: draw(8) },
    op: (t) => ({ y: rmsNorm(t as never) }),
    kernels: ['RmsNorm forward', 'RmsNorm backward', 'SumRows'],
  },
  {
    name: 'l2Norm',
    inputs: { x: draw(3, 8) },
    op: (t) => ({ y: l2Norm(t['x']!) }),
    kernels: ['RmsNorm forward', 'RmsNorm backward'],
  },
  {
    name: 'addRmsNorm',
    inputs: { x: draw(3, 8), added: draw(3, 8), weight: draw(8) },
    op: (t) => ({ y: addRmsNorm(t as never).y }),
    kernels: ['RmsNorm forward', 'RmsNorm backward', 'SumRows'],
  },
  {
    name: 'l2NormPair',
    inputs: { q: draw(3, 8), k: draw(3, 8) },
    op: (t) => ({ y: l2NormPair(t['q']!, t['k']!)[0] }),
    kernels: ['RmsNorm forward', 'RmsNorm backward'],
  },
  {
    name: 'deltaGates',
    inputs: { a: draw(3, 4), aLog: draw(4), dtBias: draw(4), b: draw(3, 4) },
    op: (t) => ({ y: deltaGates(t as never).beta }),
    kernels: ['LogDecayGate forward', 'LogDecayGate backward', 'SumRows to 2'],
  },
  {
    name: 'joinRows',
    inputs: { a: draw(2, 4), b: draw(3, 4) },
    op: (t) => ({ y: joinRows(Object.values(t)) }),
    kernels: ['JoinRows', 'SplitRows'],
  },
  {
    name: 'linears',
    inputs: { x: draw(64, 4), a: draw(8, 4), b: draw(4, 4) },
    op: ({ x, a, b }) => ({ y: linears(x!, [{ weight: a! }, { weight: b! }])[0]! }),
    // Zeros are the gradient of the map that nothing depends on.
    kernels: ['Linear forward', 'Linear backward'],
  },
  {
    name: 'layerNorm',
    inputs: { x: draw(3, 8), weight: draw(8), bias: draw(8) },
    op: (t) => ({ y: layerNorm(t as never) }),
    kernels: ['LayerNorm forward', 'LayerNorm backward', 'SumRows to 2'],
  },
  {
    name: 'rmsNormGated',
    inputs: { x: draw(3, 8), gate: draw(3, 8), weight: draw(8) },
    op: (t) => ({ y: rmsNormGated(t as never) }),
    kernels: ['RmsNormGated forward', 'RmsNormGated backward', 'SumRows'],
  },
  {
    name: 'swiGlu',
    inputs: { gate: draw(3, 8), up: draw(3, 8) },
    op: (t) => ({ y: swiGlu(t['gate']!, t['up']!) }),
    kernels: ['SwiGlu forward', 'SwiGlu backward'],
  },
  {
    name: 'rotary',
    inputs: { x: draw(3, 2, 4) },
    op: (t) => ({ y: rotary({ x: t['x']!, positions: tensor1d([0, 1, 2]) }) }),
    kernels: ['Rotary', 'Rotary'],
  },
  {
    name: 'crossEntropy',
    inputs: { logits: draw(3, 8) },
    op: (t) => ({ y: crossEntropy({ logits: t['logits']!, targets: int32([1, 7, -100]) }).loss }),
    kernels: ['CrossEntropy forward', 'CrossEntropy totals', 'CrossEntropy backward'],
  },
  {
    name: 'embedding',
    inputs: { weight: draw(5, 4) },
    op: (t) => ({ y: embedding({ weight: t['weight']!, ids: int32([4, 0, 4]) }) }),
    kernels: ['forward', 'clear', 'count', 'allot', 'fill', 'rank', 'sum'].map(
      (stage) => `Embedding ${stage}`,
    ),
  },
];

describeOnWebgpu('dispatches', (backend) => {
  const run: string[] = [];

  beforeAll(async () => {
    await openBackend(backend);
    // Bind groups of our kernels bear their names, those of tfjs none.
    const { prototype } = globalThis.GPUComputePassEncoder;
    const original = prototype.setBindGroup as (index: number, group: GPUBindGroup) => undefined;
    vi.spyOn(prototype, 'setBindGroup').mockImplementation(function (
      this: GPUComputePassEncoder,
      index: number,
      group: GPUBindGroup,
    ) {
      if (group.label) run.push(group.label);
      return original.call(this, index, group);
    } as GPUComputePassEncoder['setBindGroup']);
  });
  afterEach(() => void run.splice(0));
  afterAll(async () => {
    vi.restoreAllMocks();
    await closeBackend();
  });

  it.each(cases)('of $name', async ({ inputs, op, kernels }) => {
    await runOp(inputs, op, { y: nd([], [1]) });
    expect(run).toEqual(kernels);
  });

  it('of the optimiser cover several tensors each', () => {
    const tensors = Array.from({ length: 9 }, () => toTensor(draw(4)));
    const { norms, norm, clipFactor } = globalNorms(tensors, { clipNorm: 1 });
    const made = adamWAll(
      tensors.map((x) => ({ param: x, grad: x, m: x, v: x, learningRate: 0.1 })),
      { step: 1, gradScale: clipFactor },
    );
    expect(run.filter((name) => name !== 'AdamW')).toEqual(expect.arrayContaining(['SumRows', 'GlobalNorm']));
    expect(run.filter((name) => name === 'GlobalNorm squares').length).toBeLessThanOrEqual(2);
    expect(run.filter((name) => name === 'AdamW').length).toBeLessThanOrEqual(9);
    for (const x of [...tensors, norms, norm, clipFactor, ...made.flatMap((own) => Object.values(own))])
      x.dispose();
  });

  it('that bind more buffers than this device does have valid texts all the same', async () => {
    const gpu = globalThis.navigator.gpu;
    const adapter = await gpu.requestAdapter({ forceFallbackAdapter: backend === 'webgpu-software' });
    const device = await (adapter as GPUAdapter).requestDevice();
    for (const isInPlace of [false, true]) {
      for (const pack of [1, 4] as const) {
        const module = device.createShaderModule({ code: stepText(3, { isInPlace, isScaled: true })[pack] });
        expect((await module.getCompilationInfo()).messages).toEqual([]);
      }
    }
    device.destroy();
  });
});
