import { describeOnWebgpu } from '@mnemix/testkit';
import {
  closeBackend,
  currentDevice,
  memory,
  mul,
  ones,
  openBackend,
  softmax,
  square,
  sum,
  tensor,
  tidy,
  valueAndGrad,
  type Tensor,
} from '@mnemix/tensor';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { rmsNormGated, warmUp } from '../../src/index.ts';
import { scaleOp } from './scale-op.ts';

const step = (x: Tensor) =>
  valueAndGrad((p: Tensor) => {
    const y = rmsNormGated({ x: p, gate: p, weight: ones([8]) }, { eps: 1e-5, activation: 'silu' });
    return { value: sum(square(softmax(y))) };
  })(x);

describeOnWebgpu('warming up', (backend) => {
  beforeEach(() => openBackend(backend));
  afterEach(closeBackend);

  it('leaves nothing to compile, and nothing behind', async () => {
    const x = tensor([1, 2, 3, 4, 5, 6, 7, 8], [1, 8]);
    const before = memory().numTensors;
    await warmUp(() => step(x));
    expect(memory().numTensors).toBe(before);
    const device = currentDevice() as GPUDevice;
    const compile = vi.spyOn(device, 'createComputePipeline');
    const submit = vi.spyOn(device.queue, 'submit');
    const { value, grads } = step(x);
    const submits = submit.mock.calls.length;
    const [found] = await value.data();
    expect(compile).not.toHaveBeenCalled();
    // Nothing needs a submit of its own any more, to be proven.
    expect(submits).toBeLessThan(3);

    await closeBackend();
    await openBackend('cpu');
    const expected = step(tensor([1, 2, 3, 4, 5, 6, 7, 8], [1, 8]));
    expect(found).toBeCloseTo((await expected.value.data())[0] as number, 4);
    grads.dispose();
  });

  it('compiles each kernel once, at the same time as the others', async () => {
    const device = currentDevice() as GPUDevice;
    const ahead = vi.spyOn(device, 'createComputePipelineAsync');
    const [one, other] = [scaleOp('TestWarm'), scaleOp('TestWarmer', { body: 'y[id.x] = 1; z[id.x] = 1;' })];
    const x = tensor([1]);
    await warmUp(() => [one, other, one].map((op) => op({ x }, { factor: 2 }).y));
    expect(ahead).toHaveBeenCalledTimes(2);
    await warmUp(() => one({ x }, { factor: 3 }).y);
    expect(ahead).toHaveBeenCalledTimes(2);
  });

  it('takes steps that upload tensors of many sizes', async () => {
    const op = scaleOp('TestUploads');
    // The second of a size gets the buffer of the first, by a copy that is recorded and freed before it is submitted.
    const upload = () => {
      for (let size = 1000; size < 1040; size++) {
        for (let i = 0; i < 2; i++) tidy(() => void mul(tensor(new Float32Array(size)), 2));
      }
    };
    await warmUp(upload);
    expect(Array.from(await op({ x: tensor([1]) }, { factor: 2 }).y.data())).toEqual([2]);
  });

  it('throws for a kernel that is invalid, with its messages, before anything has run', async () => {
    const op = scaleOp('TestColdInvalid', { body: 'y[id.x] = nonsense;' });
    const x = tensor([1]);
    const before = memory().numTensors;
    await expect(warmUp(() => op({ x }, { factor: 1 }).y)).rejects.toMatchObject({
      code: 'kernel',
      where: 'TestColdInvalid',
      message: expect.stringContaining("'nonsense'"),
    });
    expect(memory().numTensors).toBe(before);
    // Nothing was computed with it: the device is as good as before.
    expect(Array.from(await scaleOp('TestStillGood')({ x }, { factor: 2 }).y.data())).toEqual([2]);
  });

  it('dispatches again after a step that throws', async () => {
    const x = tensor([1]);
    await expect(
      warmUp(() => {
        throw new Error('a mistake');
      }),
    ).rejects.toThrow('a mistake');
    expect(Array.from(await scaleOp('TestAfter')({ x }, { factor: 2 }).y.data())).toEqual([2]);
  });
});

describe('warming up', () => {
  it('runs nothing where nothing is compiled', async () => {
    await openBackend('cpu');
    const run = vi.fn();
    await warmUp(run);
    expect(run).not.toHaveBeenCalled();
  });
});
