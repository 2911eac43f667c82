// The portable forms on WebGPU against the CPU backend, which the other tests hold against the oracles.
import { describeOnWebgpu, nd, seededRandom } from '@mnemix/testkit';
import { closeBackend, memory, openBackend, type Tensor } from '@mnemix/tensor';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import {
  adamW,
  crossEntropy,
  globalNorm,
  groupedLinear,
  l2Norm,
  logDecayGate,
  packedSequences,
  rmsNorm,
  routeGather,
  routeMix,
  routePlan,
  shortConv,
  swiGlu,
} from '../../src/index.ts';
import {
  expectToMatch,
  float32,
  int32,
  runOp,
  toTensor,
  type Arrays,
  type OpResult,
  type Tensors,
} from '../op-cases.ts';

// A software adapter takes a while to compile its first pipelines.
vi.setConfig({ testTimeout: 300_000 });

const random = seededRandom(12);
const draw = (...shape: number[]) => float32(random.normals(shape));

/** Rows 0–8 and 12–15 in sequences, one of them empty, one shorter than the convolution's window. */
const packed = () =>
  packedSequences(2, 9, [
    { row: 0, start: 0, length: 6 },
    { row: 0, start: 6, length: 0 },
    { row: 0, start: 6, length: 2 },
    { row: 1, start: 3, length: 4 },
  ]);
const choices = Array.from({ length: 18 }, (_, row) => [row % 3, (row + 1) % 3]).flat();
const plan = () => routePlan(int32(choices, [18, 2]), { memories: 3, sequences: packed() });

interface Case {
  readonly name: string;
  readonly inputs: Arrays;
  readonly upstream: Arrays;
  /** What else the op takes is made on the current backend, and freed by the test. */
  readonly op: () => (inputs: Tensors) => Tensors;
}

const cases: Case[] = [
  {
    name: 'rmsNorm',
    inputs: { x: draw(5, 7), weight: draw(7) },
    upstream: { y: draw(5, 7) },
    op: () => (t) => ({ y: rmsNorm(t as never) }),
  },
  {
    name: 'l2Norm',
    inputs: { x: draw(5, 7) },
    upstream: { y: draw(5, 7) },
    op: () => (t) => ({ y: l2Norm(t['x']!) }),
  },
  {
    name: 'swiGlu',
    inputs: { gate: draw(5, 7), up: draw(5, 7) },
    upstream: { y: draw(5, 7) },
    op: () => (t) => ({ y: swiGlu(t['gate']!, t['up']!) }),
  },
  {
    name: 'logDecayGate',
    inputs: { a: draw(9, 3), aLog: draw(3), dtBias: draw(3) },
    upstream: { g: draw(9, 3) },
    op: () => (t) => ({ g: logDecayGate(t as never) }),
  },
  {
    name: 'crossEntropy',
    inputs: { logits: draw(6, 5) },
    upstream: { loss: nd([], [1]) },
    op: () => {
      const targets = int32([0, 4, -100, 2, 9, 1]);
      return (t) => ({ ...crossEntropy({ logits: t['logits']!, targets }) });
    },
  },
  {
    name: 'shortConv',
    inputs: { x: draw(18, 5), weight: draw(5, 1, 4), bias: draw(5), initialState: draw(4, 5, 4) },
    upstream: { y: draw(18, 5), state: draw(4, 5, 4) },
    op: () => {
      const sequences = packed();
      return (t) => shortConv(t as never, { sequences });
    },
  },
  {
    name: 'groupedLinear',
    inputs: { x: draw(18, 5), weight: draw(4, 3, 5), bias: draw(4, 3) },
    upstream: { y: draw(18, 3) },
    op: () => {
      const groups = packed();
      return (t) => ({ y: groupedLinear(t as never, { groups }) });
    },
  },
  {
    name: 'routeGather',
    inputs: { x: draw(18, 5) },
    upstream: { y: draw(36, 5) },
    op: () => {
      const route = plan();
      return (t) => ({ y: routeGather(t['x']!, route) });
    },
  },
  {
    name: 'routeMix',
    inputs: { o: draw(36, 5), weights: draw(18, 2) },
    upstream: { y: draw(18, 5) },
    op: () => {
      const route = plan();
      return (t) => ({ y: routeMix(t as never, route) });
    },
  },
];

describeOnWebgpu('portable forms', (backend) => {
  const wanted = new Map<string, OpResult>();
  beforeAll(async () => {
    await openBackend('cpu');
    for (const { name, inputs, upstream, op } of cases) wanted.set(name, await runOp(inputs, op(), upstream));
    await openBackend(backend);
  });
  afterAll(closeBackend);

  it.each(cases)('$name agrees with the CPU', async ({ name, inputs, upstream, op }) => {
    expectToMatch(await runOp(inputs, op(), upstream), wanted.get(name)!);
  });

  it('adamW and globalNorm agree with the CPU', async () => {
    const arrays = [draw(3, 5), draw(3, 5), draw(3, 5), nd([3, 5], draw(3, 5).data.map(Math.abs))];
    const run = async (): Promise<number[][]> => {
      const before = memory().numTensors;
      const [param, grad, m, v] = arrays.map(toTensor) as [Tensor, Tensor, Tensor, Tensor];
      const norm = globalNorm([param, grad, m, v]);
      const made = adamW(
        { param, grad, m, v },
        { learningRate: 0.1, step: 2, weightDecay: 0.1, gradScale: norm },
      );
      const tensors = [norm, made.param, made.m, made.v];
      const values = await Promise.all(tensors.map(async (x) => Array.from(await x.data())));
      for (const x of [param, grad, m, v, ...tensors]) x.dispose();
      expect(memory().numTensors).toBe(before);
      return values;
    };
    await openBackend('cpu');
    const expected = await run();
    await openBackend(backend);
    const found = await run();
    expected.forEach((values, i) => expect(found[i]).toBeCloseRms(values, 1e-5));
  });
});
