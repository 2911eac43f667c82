import { describeOnWebgpu, gatedRmsNorm, nd, seededRandom, type NdArray } from '@mnemix/testkit';
import { closeBackend, defineOp, openBackend, scalar, tidy, type Tensor } from '@mnemix/tensor';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { rmsNormGated } from '../../src/index.ts';
import * as portable from '../../src/rms-norm-gated/portable.ts';
import { expectToMatch, float32, poison, runOp, toTensor, type OpResult } from '../op-cases.ts';

// A software adapter takes a while to compile a pipeline.
vi.setConfig({ testTimeout: 300_000 });

function inputsOf(shape: readonly number[]) {
  const random = seededRandom(11);
  return {
    x: float32(random.normals(shape)),
    gate: float32(random.normals(shape, 2)),
    weight: float32(random.normals([shape.at(-1)!])),
    dy: float32(random.normals(shape)),
  };
}

/** What tfjs's own kernels go through; ours do not. */
function stockPrograms(): { runWebGPUProgram(...args: unknown[]): unknown } {
  let found: unknown;
  const look = defineOp<Record<never, never>, { y: Tensor }, object>({
    name: 'TestLook',
    outputs: ['y'],
    portable: () => ({ y: scalar(0) }),
    kernels: { webgpu: ({ backend }) => void (found = backend) },
  });
  look({}, {}).y.dispose();
  return found as ReturnType<typeof stockPrograms>;
}

/** Outputs and gradients by the definition, in float64. */
function expected(
  { x, gate, weight }: Omit<ReturnType<typeof inputsOf>, 'dy'>,
  dy: NdArray,
  activation: 'silu' | 'sigmoid',
): OpResult {
  const width = weight.data.length;
  const gradients = { x: nd(x.shape), gate: nd(x.shape), weight: nd(weight.shape) };
  for (let start = 0; start < x.data.length; start += width) {
    const row = (c: number) => {
      const z = gate.data[start + c]!;
      const s = 1 / (1 + Math.exp(-z));
      const act = activation === 'silu' ? z * s : s;
      const slope = activation === 'silu' ? s * (1 + z * (1 - s)) : s * (1 - s);
      return { value: x.data[start + c]!, act, slope, w: weight.data[c]!, d: dy.data[start + c]! };
    };
    const cells = Array.from({ length: width }, (_, c) => row(c));
    const r = 1 / Math.sqrt(cells.reduce((sum, { value }) => sum + value * value, 0) / width + 1e-5);
    const pull = cells.reduce((sum, { value, act, w, d }) => sum + d * act * w * value * r, 0) / width;
    cells.forEach(({ value, act, slope, w, d }, c) => {
      gradients.x.data[start + c] = r * (d * act * w - value * r * pull);
      gradients.gate.data[start + c] = d * w * value * r * slope;
      gradients.weight.data[c]! += d * act * value * r;
    });
  }
  return { outputs: { y: gatedRmsNorm(x, gate, weight, 1e-5, activation) }, gradients };
}

describeOnWebgpu('rmsNormGated', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

  // Rows and columns below, at and above what a workgroup has lanes and slots for.
  const shapes = [
    [1, 1],
    [2, 3, 7],
    [300, 4],
    [70, 33],
    [9, 130],
    [3, 1030],
  ];

  it.each(shapes)('matches the oracle for [%i, %i, …]', async (...shape) => {
    const { dy, ...inputs } = inputsOf(shape);
    const width = shape.at(-1)!;
    for (const activation of width < 10 ? (['silu', 'sigmoid'] as const) : (['silu'] as const)) {
      await poison([
        [1, width],
        [2, width],
        [3, width],
      ]);
      const actual = await runOp(inputs, (t) => ({ y: rmsNormGated(t as never, { activation }) }), { y: dy });
      expectToMatch(actual, expected(inputs, dy, activation));
    }
  });

  it('runs as one dispatch of its own, without stock kernels', async () => {
    const { x, gate, weight } = inputsOf([6, 10]);
    const stock = vi.spyOn(stockPrograms(), 'runWebGPUProgram');
    const y = tidy(() => rmsNormGated({ x: toTensor(x), gate: toTensor(gate), weight: toTensor(weight) }));
    expect(stock).not.toHaveBeenCalled();
    stock.mockRestore();
    expect({ shape: y.shape, data: await y.data() }).toBeCloseRms(gatedRmsNorm(x, gate, weight), 1e-5);
    y.dispose();
  });

  it('gives the same bits every time, the summed gradient included', async () => {
    const { dy, ...inputs } = inputsOf([500, 24]);
    const run = () => runOp(inputs, (t) => ({ y: rmsNormGated(t as never) }), { y: dy });
    const first = await run();
    for (let i = 0; i < 3; i++) expect(await run()).toEqual(first);
  });

  it('takes no rows', async () => {
    const made = tidy(() => {
      const { x, gate, weight, dy } = Object.fromEntries(
        Object.entries(inputsOf([0, 5])).map(([name, value]) => [name, toTensor(value)]),
      ) as Record<'x' | 'gate' | 'weight' | 'dy', Tensor>;
      const y = rmsNormGated({ x, gate, weight });
      return { y, ...portable.backward({ x, gate, weight, dy }, { eps: 1e-5, activation: 'silu' }) };
    });
    expect(made.y.shape).toEqual([0, 5]);
    expect(Array.from(await made.dWeight.data())).toEqual([0, 0, 0, 0, 0]);
    for (const x of Object.values(made)) x.dispose();
  });
});
