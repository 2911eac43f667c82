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

  it.each([
    [0.25, false],
    ['a tensor', false],
    [0.25, true],
    ['a tensor', true],
  ] as const)(
    'follows the oracle for many tensors at once, scaled by %s, consumed: %s',
    async (scaled, consume) => {
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
          { step, gradScale, consume },
        );
        for (const x of [
          ...tensors.flatMap((own) => Object.values(own) as Tensor[]),
          ...grads.map((g) => g.tensor),
        ]) {
          expect(x.isDisposed).toBe(consume);
          x.dispose();
        }
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

  it('writes over what it consumes, and over nothing that others hold', async () => {
    const values = draw(7);
    const zerosOf = (): Tensor[] => shapes.map((shape) => zeros(shape));
    const make = () => ({
      params: values.map(toTensor),
      grads: values.map(toTensor),
      m: zerosOf(),
      v: zerosOf(),
    });
    const step = ({ params, grads, m, v }: ReturnType<typeof make>, consume: boolean): AdamWTensors[] =>
      adamWAll(
        params.map((param, i) => ({ param, grad: grads[i]!, m: m[i]!, v: v[i]!, ...settings[i]! })),
        { step: 1, consume },
      );
    const given = make();
    const expected = step(given, false);
    const held = make();
    // Each of the four in one parameter; the last is its own gradient too.
    const clones = [held.params[0]!, held.m[1]!, held.v[2]!, held.grads[3]!].map((x) => ({
      before: x.clone(),
      alias: x.clone(),
    }));
    held.grads[4]!.dispose();
    held.grads[4] = held.params[4]!;
    const buffers = memory().numDataBuffers;
    const made = step(held, true);
    // The gradients that nobody holds: 3 is held, 4 is the parameter.
    expect(memory().numDataBuffers - buffers).toBe(3 - 4);
    for (const [i, own] of made.entries()) {
      for (const name of ['param', 'm', 'v'] as const)
        expect(await read(own[name])).toBeCloseRms(await read(expected[i]![name]), 1e-6);
    }
    const unchanged = [values[0]!, nd(shapes[1]!), nd(shapes[2]!), values[3]!];
    for (const [i, { before, alias }] of clones.entries()) {
      expect(await read(alias)).toBeCloseRms(unchanged[i]!, 1e-7);
      before.dispose();
      alias.dispose();
    }
    for (const x of [
      ...Object.values(given).flat(),
      ...[...made, ...expected].flatMap((own) => Object.values(own) as Tensor[]),
    ])
      x.dispose();
  });

  it('needs no memory for what is written in place', async () => {
    const bytes = (): number =>
      (memory() as unknown as { numBytesAllocatedInGPU: number }).numBytesAllocatedInGPU;
    // Of a size that nothing else has had.
    const [param, grad, m, v] = Array.from({ length: 4 }, () => zeros([12_343])) as [
      Tensor,
      Tensor,
      Tensor,
      Tensor,
    ];
    let own: AdamWTensors = { param, m, v };
    // All are on the device once they have been used.
    [own] = adamWAll([{ ...own, grad: grad.clone(), learningRate: 1 }], { step: 1, consume: true }) as [
      AdamWTensors,
    ];
    await own.param.data();
    const before = bytes();
    [own] = adamWAll([{ ...own, grad, learningRate: 1 }], { step: 2, consume: true }) as [AdamWTensors];
    await own.param.data();
    expect(bytes()).toBe(before);
    for (const x of Object.values(own) as Tensor[]) x.dispose();
  });

  it('is not shown what was read before', async () => {
    const [param, grad, m, v] = [1, 2, 0, 0].map((x) => toTensor(nd([4], Array(4).fill(x)))) as [
      Tensor,
      Tensor,
      Tensor,
      Tensor,
    ];
    // One read that is done, and one that is on its way.
    await param.data();
    const late = m.data();
    const made = adamWAll([{ param, grad, m, v, learningRate: 0.5 }], { step: 1, consume: true });
    expect(Array.from(await late)).toEqual([0, 0, 0, 0]);
    expect(await read(made[0]!.param)).toBeCloseRms([0.5, 0.5, 0.5, 0.5], 1e-5);
    expect(await read(made[0]!.m)).toBeCloseRms([0.2, 0.2, 0.2, 0.2], 1e-5);
    for (const x of Object.values(made[0]!) as Tensor[]) x.dispose();
  });

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
