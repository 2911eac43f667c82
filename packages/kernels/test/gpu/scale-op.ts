// An op to try the bridge with: y = factor·x + offset and z = −x, from one dispatch.
import { add, defineOp, mul, type Op, type Tensor } from '@mnemix/tensor';
import { gpuKernel } from '../../src/gpu/bridge.ts';
import { f32, u32, type GpuPlan } from '../../src/gpu/kernel.ts';

export interface ScaleAttrs {
  readonly factor: number;
  readonly offset?: number;
}

export interface ScaleChanges {
  /** WGSL of one element. */
  readonly body?: string;
  readonly buffers?: readonly string[];
  /** What the plan becomes. */
  readonly change?: (plan: GpuPlan, shape: readonly number[]) => GpuPlan | string | undefined;
}

const scaled = (body: string): string => `
  struct Uniforms { count: u32, factor: f32 }
  @group(0) @binding(0) var<storage, read> x: array<f32>;
  @group(0) @binding(1) var<storage, read_write> y: array<f32>;
  @group(0) @binding(2) var<storage, read_write> z: array<f32>;
  @group(0) @binding(3) var<uniform> u: Uniforms;
  override offset: f32 = 0;
  @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
    if (id.x < u.count) { ${body} }
  }`;

export function scaleOp(
  name: string,
  {
    body = 'y[id.x] = u.factor * x[id.x] + offset; z[id.x] = -x[id.x];',
    buffers = ['x', 'y', 'z'],
    change = (plan) => plan,
  }: ScaleChanges = {},
): Op<{ x: Tensor }, { y: Tensor; z: Tensor }, ScaleAttrs> {
  return defineOp<{ x: Tensor }, { y: Tensor; z: Tensor }, ScaleAttrs>({
    name,
    outputs: ['y', 'z'],
    portable: ({ x }, { factor, offset = 0 }) => ({ y: add(mul(x, factor), offset), z: mul(x, -1) }),
    kernels: gpuKernel(({ shapes: { x: shape }, attrs: { factor, offset = 0 } }) =>
      change(
        {
          outputs: { y: { shape }, z: { shape } },
          dispatches: [
            {
              kernel: {
                name,
                wgsl: scaled(body),
                bindings: ['read', 'write', 'write'],
                constants: { offset },
              },
              buffers,
              uniforms: [u32(shape[0] as number), f32(factor)],
              workgroups: [Math.ceil((shape[0] as number) / 64)],
            },
          ],
        },
        shape,
      ),
    ),
  });
}
