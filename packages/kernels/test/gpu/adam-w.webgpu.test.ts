import { adamWStep, describeOnWebgpu, map, nd, seededRandom, type NdArray } from '@mnemix/testkit';
import { closeBackend, memory, openBackend, scalar, zeros, type Tensor } from '@mnemix/tensor';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { adamWAll, globalNorm, globalNorms, type AdamWTensors } from '../../src/index.ts';
import { float32, poison, toTensor } from '../op-cases.ts';

// A software adapter takes a while to compile a pipeline.
vi.setConfig({ testTimeout: 300_000 });

const shapes = [[3, 5], [1], [2, 3, 8], [16], [7], [5000]];
const draw = (seed: number, scale = 1): NdArray[] => {
  const random = seededRandom(seed);
  return shapes.map((shape) => float32(random.normals(shape, scale)));
};
const read = async (x: Tensor): Promise<NdArray> => nd(x.shape, await x.data<'float32'>());
const normOf = (...arrays: NdArray[]): number => Math.hypot(...arrays.flatMap((a) => Array.from(a.data)));

describeOnWebgpu('the optimiser', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

  const settings = shapes.map((_, i) => ({
    learningRate: 1e-2 * (i + 1),
    beta1: i % 2 ? 0.9 : 0.8,
    beta2: 0.95,
    epsilon: 1e-6,
    weightDecay: i % 3 ? 0 : 0.1,
  }));

  it.each([0.25, 'a tensor'] as const)(
    'follows the oracle for many tensors at once, scaled by %s',
    async (scaled) => {
      const expected = draw(1);
      const moments: Record<number, ReturnType<typeof adamWStep>['state']> = {};
      let tensors: AdamWTensors[] = expected.map((param) => ({
        param: toTensor(param),
        m: zeros(param.shape as number[]),
        v: zeros(param.shape as number[]),
      }));
      const before = memory().numTensors;
      for (let step = 1; step <= 3; step++) {
        await poison(shapes);
        const grads = draw(10 + step, 4).map((grad) => ({ grad, tensor: toTensor(grad) }));
        const gradScale = scaled === 'a tensor' ? scalar(0.25) : scaled;
        const made = adamWAll(
          tensors.map((own, i) => ({ ...own, ...settings[i]!, grad: grads[i]!.tensor })),
          { step, gradScale },
        );
        for (const x of [
          ...tensors.flatMap((own) => Object.values(own) as Tensor[]),
          ...grads.map((g) => g.tensor),
        ])
          x.dispose();
        if (typeof gradScale !== 'number') gradScale.dispose();
        tensors = made;
        for (const [i, { grad }] of grads.entries()) {
          const next = adamWStep(
            expected[i]!,
            map(grad, (g) => 0.25 * g),
            moments[i],
            settings[i]!,
          );
          expected[i] = next.parameter;
          moments[i] = next.state;
          expect(await read(tensors[i]!.param)).toBeCloseRms(next.parameter, 1e-5);
          expect(await read(tensors[i]!.m)).toBeCloseRms(next.state.mean, 1e-5);
          expect(await read(tensors[i]!.v)).toBeCloseRms(next.state.meanSquare, 1e-5);
        }
      }
      expect(memory().numTensors).toBe(before);
      for (const own of tensors) for (const x of Object.values(own) as Tensor[]) x.dispose();
    },
  );

  it('has the norm of each tensor, of all together, and the factor that clips', async () => {
    for (const [clipNorm, arrays] of [
      [1, draw(3)],
      [1e6, draw(4)],
      [1, [nd([3])]],
    ] as const) {
      await poison([[arrays.length], []]);
      const tensors = arrays.map(toTensor);
      const before = memory().numTensors;
      const { norms, norm, clipFactor } = globalNorms(tensors, { clipNorm });
      const whole = normOf(...arrays);
      expect(await read(norms)).toBeCloseRms(
        nd(
          [arrays.length],
          arrays.map((a) => normOf(a)),
        ),
        1e-5,
      );
      expect((await norm.data())[0]).toBeCloseRms([whole], 1e-5);
      expect((await clipFactor.data())[0]).toBeCloseTo(Math.min(1, clipNorm / (whole + 1e-6)), 5);
      for (const x of [norms, norm, clipFactor]) x.dispose();
      expect(memory().numTensors).toBe(before);
      for (const x of tensors) x.dispose();
    }
  });

  it('shows which tensor is not finite', async () => {
    for (const bad of [NaN, Infinity]) {
      const tensors = [nd([5], [1, 1, 1, 1, 1]), nd([4], [1, bad, 1, 1])].map(toTensor);
      const { norms, norm, clipFactor } = globalNorms(tensors);
      expect(Array.from(await norms.data(), Number.isFinite)).toEqual([true, false]);
      expect(Number.isFinite((await norm.data())[0])).toBe(false);
      for (const x of [...tensors, norms, norm, clipFactor]) x.dispose();
    }
  });

  it('sums in the same order every time', async () => {
    const x = toTensor(float32(seededRandom(5).normals([20_000])));
    const norm = async () => {
      const y = globalNorm([x]);
      const [value] = await y.data();
      y.dispose();
      return value;
    };
    const first = await norm();
    for (let i = 0; i < 3; i++) expect(await norm()).toBe(first);
    x.dispose();
  });
});
