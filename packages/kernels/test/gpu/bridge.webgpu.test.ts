import { describeOnWebgpu } from '@mnemix/testkit';
import {
  add,
  closeBackend,
  currentDevice,
  defineOp,
  memory,
  mul,
  openBackend,
  profileDevice,
  tensor,
  tidy,
  withStockKernels,
  type Tensor,
} from '@mnemix/tensor';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { gpuKernel, type PlanCall } from '../../src/gpu/bridge.ts';
import { f32, u32, type GpuDispatch, type GpuPlan } from '../../src/gpu/kernel.ts';
import { sumRows } from '../../src/gpu/sum-rows.ts';
import { scaleOp } from './scale-op.ts';

const values = async (x: Tensor): Promise<number[]> => Array.from(await x.data());

describeOnWebgpu('the GPU bridge', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);
  afterEach(() => void vi.restoreAllMocks());

  it('orders its dispatches with those of stock kernels, over many submits', async () => {
    const op = scaleOp('TestScale');
    const result = tidy(() => {
      let x: Tensor = tensor([1, 2, 3]);
      for (let i = 0; i < 60; i++) {
        const { y, z } = op({ x }, { factor: 2 });
        x = mul(add(y, z), -1);
        x = op({ x }, { factor: -1 }).y;
      }
      return x;
    });
    expect(await values(result)).toEqual([1, 2, 3]);
    result.dispose();
  });

  it('reads what the host sent for it, though buffers are used again while commands wait', async () => {
    const op = scaleOp('TestSent');
    const made = Array.from({ length: 20 }, (_, i) =>
      tidy(() => {
        const { y, z } = op({ x: tensor([i, i + 1, i + 2]) }, { factor: 2 });
        // 2x − x, and what else is made and freed here takes the buffers of the same size in turn.
        return add(y, mul(z, tensor([1, 1, 1])));
      }),
    );
    for (const [i, x] of made.entries()) {
      expect(await values(x)).toEqual([i, i + 1, i + 2]);
      x.dispose();
    }
  });

  it('makes a plan once for the same shapes and attributes, and again for others', () => {
    const change = vi.fn((plan: GpuPlan) => plan);
    const op = scaleOp('TestPlanned', { change });
    tidy(() => {
      for (const factor of [2, 2, -0, 0, Infinity, NaN, 2]) op({ x: tensor([1, 2]) }, { factor });
      op({ x: tensor([1]) }, { factor: 2 });
    });
    expect(change).toHaveBeenCalledTimes(6);
  });

  it('gives each call its own numbers where they change and the plan does not', async () => {
    const makePlan = vi.fn(
      ({ shapes: { x: shape } }: PlanCall<{ x: Tensor }, { factor: number }>): GpuPlan => ({
        outputs: { y: { shape } },
        dispatches: [
          {
            kernel: {
              name: 'TestChanging',
              wgsl: `
                struct Uniforms { count: u32, factor: f32 }
                @group(0) @binding(0) var<storage, read> x: array<f32>;
                @group(0) @binding(1) var<storage, read_write> y: array<f32>;
                @group(0) @binding(2) var<uniform> u: Uniforms;
                @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
                  if (id.x < u.count) { y[id.x] = u.factor * x[id.x]; }
                }`,
              bindings: ['read', 'write'],
            },
            buffers: ['x', 'y'],
            uniformsOfCall: ({ factor }: { factor: number }) => [u32(shape[0] as number), f32(factor)],
            workgroups: [1],
          },
        ],
      }),
    );
    const op = defineOp<{ x: Tensor }, { y: Tensor }, { factor: number }>({
      name: 'TestChanging',
      outputs: ['y'],
      portable: ({ x }, { factor }) => ({ y: mul(x, factor) }),
      kernels: gpuKernel(makePlan, { planned: () => undefined }),
    });
    const x = tensor([1, 2]);
    // Once while it is not proven, and once when it is.
    for (let i = 0; i < 2; i++) {
      const made = [2, 3, 3, -1, 2].map((factor) => [factor, op({ x }, { factor }).y] as const);
      for (const [factor, y] of made) expect(await values(y)).toEqual([factor, 2 * factor]);
    }
    expect(makePlan).toHaveBeenCalledTimes(1);
  });

  it('compiles a pipeline for each value of a constant', async () => {
    const op = scaleOp('TestConstants');
    const x = tensor([1, 2]);
    for (const offset of [0, 5, 0, 7]) {
      const { y, z } = op({ x }, { factor: 3, offset });
      expect(await values(y)).toEqual([3 + offset, 6 + offset]);
      tidy(() => [y, z].forEach((t) => t.dispose()));
    }
    x.dispose();
  });

  it('leaves empty tensors to the portable form', async () => {
    const { y, z } = scaleOp('TestEmpty')({ x: tensor([], [0]) }, { factor: 3 });
    expect(await values(y)).toEqual([]);
    y.dispose();
    z.dispose();
  });

  it('throws the WGSL message of an invalid kernel at the next read, and at all that follows', async () => {
    const op = scaleOp('TestInvalid', { body: 'y[id.x] = nonsense;' });
    const x = tensor([1, 2]);
    const first = op({ x }, { factor: 1 });
    const failure = {
      name: 'MnemixError',
      code: 'kernel',
      where: 'TestInvalid',
      message: expect.stringMatching(/'nonsense'[^]*First used for TestInvalid of x \[2\]/),
    };
    await expect(first.y.data()).rejects.toMatchObject(failure);
    const before = memory().numTensors;
    expect(() => op({ x }, { factor: 1 })).toThrow(expect.objectContaining(failure));
    expect(memory().numTensors).toBe(before);
    // What lies in its outputs, and in what was computed from them, is stale.
    for (const stale of [first.y, first.z, mul(first.y, 2)])
      await expect(stale.data()).rejects.toMatchObject(failure);
    expect(() => scaleOp('TestValid')({ x }, { factor: 4 })).toThrow(expect.objectContaining(failure));
    await closeBackend();
    await openBackend(backend);
    const { y } = scaleOp('TestValid')({ x: tensor([1, 2]) }, { factor: 4 });
    expect(await values(y)).toEqual([4, 8]);
  });

  it('names a tensor that a dispatch asks for in vain', () => {
    const op = scaleOp('TestMissing', { buffers: ['x', 'y', 'w'] });
    const x = tensor([1]);
    const before = memory().numTensors;
    expect(() => op({ x }, { factor: 1 })).toThrow('TestMissing: there is no tensor "w" to bind.');
    expect(memory().numTensors).toBe(before);
  });

  it('refuses a plan that makes a tensor under the name of an input, which would be read in its place', () => {
    const op = scaleOp('TestNames', {
      change: (plan) => ({ ...plan, scratch: { x: { shape: [1] } } }),
    });
    const x = tensor([1]);
    const before = memory().numTensors;
    expect(() => op({ x }, { factor: 1 })).toThrow(
      expect.objectContaining({
        code: 'kernel',
        where: 'TestNames',
        message: expect.stringContaining('makes a tensor x, and that is the name of an input'),
      }),
    );
    expect(memory().numTensors).toBe(before);
  });

  it('runs the portable form where a kernel declines, and says why once for each op and reason', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    const op = scaleOp('TestDeclines', { change: (_, [size]) => `${size} rows are too many` });
    const silent = scaleOp('TestSilent', { change: () => undefined });
    const [two, three] = [tensor([1, 2]), tensor([1, 2, 3])];
    for (const x of [two, three, two, three]) {
      expect(await values(op({ x }, { factor: 2 }).y)).toEqual((await values(x)).map((value) => 2 * value));
    }
    expect(await values(silent({ x: two }, { factor: 2 }).y)).toEqual([2, 4]);
    expect(warn.mock.calls).toEqual([
      ['mnemix: TestDeclines runs in its portable form, which is slower: 2 rows are too many.'],
      ['mnemix: TestDeclines runs in its portable form, which is slower: 3 rows are too many.'],
    ]);
  });

  const changing = (change: (dispatch: GpuDispatch) => Partial<GpuDispatch>) => (plan: GpuPlan) => ({
    ...plan,
    dispatches: plan.dispatches.map((dispatch) => ({ ...dispatch, ...change(dispatch) })),
  });

  it.each<[string, (plan: GpuPlan) => GpuPlan, message: string]>([
    [
      'keeps more in between than the device holds',
      (plan) => ({ ...plan, scratch: { states: { shape: [2 ** 20, 2 ** 20] } } }),
      'states [1048576, 1048576]',
    ],
    ['has too many workgroups', changing(() => ({ workgroups: [2 ** 20] })), 'more workgroups (1048576)'],
    [
      'binds too many tensors',
      changing(({ kernel }) => ({ kernel: { ...kernel, bindings: Array(99).fill('read') } })),
      'binds more tensors (99)',
    ],
  ])('runs the portable form of a plan that %s', async (what, change, message) => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    const op = scaleOp(`Test ${what}`, { change });
    expect(await values(op({ x: tensor([1]) }, { factor: 2 }).y)).toEqual([2]);
    expect(warn).toHaveBeenCalledWith(expect.stringContaining(message));
  });

  it('refuses outputs beyond the device with the name of the op and the sizes, and leaves nothing behind', () => {
    const op = scaleOp('TestHuge', {
      change: (plan) => ({ ...plan, outputs: { y: { shape: [1] }, z: { shape: [2 ** 20, 2 ** 20] } } }),
    });
    const x = tensor([1]);
    const before = memory();
    expect(() => op({ x }, { factor: 1 })).toThrow(
      expect.objectContaining({
        code: 'backend',
        where: 'TestHuge(z)',
        message: expect.stringContaining('[1048576, 1048576] takes 4096.0 GiB'),
      }),
    );
    expect(memory()).toMatchObject({
      numTensors: before.numTensors,
      numDataBuffers: before.numDataBuffers,
    });
  });

  it('is told apart in a profile, with what it binds and computes', async () => {
    const op = scaleOp('TestProfiled', {
      change: (plan) => ({
        ...plan,
        dispatches: plan.dispatches.map((dispatch) => ({ ...dispatch, flops: 3 })),
      }),
    });
    const x = tensor([1, 2]);
    // Once while it is not proven, and once when it is.
    for (let i = 0; i < 2; i++) {
      const { device } = await profileDevice(async () => {
        const { y } = op({ x }, { factor: 2 });
        expect(await values(y)).toEqual([2, 4]);
      });
      expect(device).toMatchObject([
        { name: 'TestProfiled', op: 'mnemix/TestProfiled(x)', bytes: 24, flops: 3 },
      ]);
    }
  });

  it('runs portable forms only where stock kernels are asked for', async () => {
    const op = scaleOp('TestStock', { body: 'y[id.x] = 77; z[id.x] = 77;' });
    const x = tensor([1, 2]);
    expect(await values(op({ x }, { factor: 2 }).y)).toEqual([77, 77]);
    expect(await values(withStockKernels(() => op({ x }, { factor: 2 }).y))).toEqual([2, 4]);
  });

  it('tells of a lost device by one error, whatever else it has heard', async () => {
    const op = scaleOp('TestLost');
    const x = tensor([1, 2]);
    const { y } = op({ x }, { factor: 2 });
    const device = currentDevice() as GPUDevice;
    device.destroy();
    await device.lost;
    const before = memory().numTensors;
    expect(() => op({ x }, { factor: 2 })).toThrow(expect.objectContaining({ code: 'lost' }));
    expect(memory().numTensors).toBe(before);
    await expect(y.data()).rejects.toMatchObject({ code: 'lost' });
    await closeBackend();
    await openBackend(backend);
  });

  it('sums rows in a fixed order', async () => {
    const op = defineOp<{ x: Tensor }, { y: Tensor }, object>({
      name: 'TestSumRows',
      outputs: ['y'],
      portable: ({ x }) => ({ y: x }),
      kernels: gpuKernel(
        ({
          shapes: {
            x: [rows = 0, width = 0],
          },
        }) => ({
          outputs: { y: { shape: [width] } },
          dispatches: [sumRows('x', 'y', rows, width)],
        }),
      ),
    });
    for (const [rows, width] of [
      [1, 1],
      [7, 33],
      [19, 64],
      [100, 5],
    ] as const) {
      const numbers = Array.from({ length: rows * width }, (_, i) => (i % 13) - 6);
      const { y } = op({ x: tensor(numbers, [rows, width]) }, {});
      const sums = Array.from({ length: width }, (_, c) =>
        numbers.filter((_value, i) => i % width === c).reduce((a, b) => a + b, 0),
      );
      expect(await values(y)).toEqual(sums);
    }
  });
});
