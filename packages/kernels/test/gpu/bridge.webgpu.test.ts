import { describeOnWebgpu } from '@mnemix/testkit';
import {
  add,
  closeBackend,
  defineOp,
  memory,
  mul,
  openBackend,
  tensor,
  tidy,
  type Tensor,
} from '@mnemix/tensor';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { gpuKernel } from '../../src/gpu/bridge.ts';
import { f32, u32 } from '../../src/gpu/kernel.ts';
import { sumRows } from '../../src/gpu/sum-rows.ts';

const scaled = (body: string) => `
  struct Uniforms { count: u32, factor: f32 }
  @group(0) @binding(0) var<storage, read> x: array<f32>;
  @group(0) @binding(1) var<storage, read_write> y: array<f32>;
  @group(0) @binding(2) var<storage, read_write> z: array<f32>;
  @group(0) @binding(3) var<uniform> u: Uniforms;
  override offset: f32 = 0;
  @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
    if (id.x < u.count) { ${body} }
  }`;

interface Attrs {
  readonly factor: number;
  readonly offset?: number;
}

/** y = factor·x + offset and z = −x, from one dispatch. */
function scaleOp(
  name: string,
  body = 'y[id.x] = u.factor * x[id.x] + offset; z[id.x] = -x[id.x];',
  buffers = ['x', 'y', 'z'],
) {
  return defineOp<{ x: Tensor }, { y: Tensor; z: Tensor }, Attrs>({
    name,
    outputs: ['y', 'z'],
    portable: ({ x }, { factor, offset = 0 }) => ({ y: add(mul(x, factor), offset), z: mul(x, -1) }),
    kernels: gpuKernel(({ shapes: { x: shape }, attrs: { factor, offset = 0 } }) => ({
      outputs: { y: { shape }, z: { shape } },
      dispatches: [
        {
          kernel: { name, wgsl: scaled(body), bindings: ['read', 'write', 'write'], constants: { offset } },
          buffers,
          uniforms: [u32(shape[0]!), f32(factor)],
          workgroups: [Math.ceil(shape[0]! / 64)],
        },
      ],
    })),
  });
}

const values = async (x: Tensor): Promise<number[]> => Array.from(await x.data());

describeOnWebgpu('the GPU bridge', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

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
    const op = scaleOp('TestInvalid', 'y[id.x] = nonsense;');
    const x = tensor([1, 2]);
    const first = op({ x }, { factor: 1 });
    const failure = {
      name: 'MnemixError',
      code: 'kernel',
      where: 'TestInvalid',
      message: expect.stringContaining("'nonsense'"),
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
    const op = scaleOp('TestMissing', undefined, ['x', 'y', 'w']);
    const x = tensor([1]);
    const before = memory().numTensors;
    expect(() => op({ x }, { factor: 1 })).toThrow('TestMissing: there is no tensor "w" to bind.');
    expect(memory().numTensors).toBe(before);
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
