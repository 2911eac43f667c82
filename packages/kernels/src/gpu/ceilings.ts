// The most that a device does, measured on it: what other kernels are held against.
import {
  add,
  defineOp,
  expandDims,
  largestTensor,
  currentDevice,
  MnemixError,
  mul,
  ones,
  profileDevice,
  tile,
  type DeviceCeilings,
  type Tensor,
} from '@mnemix/tensor';
import { gpuKernel } from './bridge.ts';
import copyWgsl from './copy.wgsl';
import { u32 } from './kernel.ts';
import multiplyAddsWgsl from './multiply-adds.wgsl';

const INVOCATIONS = 256;
const GROUPS = 4096;
/** Of one invocation and round: eight vectors of four, a multiply-add each. */
const ROUND_FLOPS = 64;
/** Enough that starting and ending do not count. */
const LONG_MILLISECONDS = 1;
const SMALLEST_BYTES = 2 ** 22;
/** Far beyond any cache. */
const LARGEST_BYTES = 2 ** 29;
const REPEATS = 20;

/** @internal */
export const copy = defineOp<{ x: Tensor }, { y: Tensor }, object>({
  name: 'Copy',
  outputs: ['y'],
  portable: ({ x }) => ({ y: add(x, 0) }),
  kernels: gpuKernel(({ shapes: { x: shape } }) => {
    const vectors = (shape[0] as number) / 4;
    return {
      outputs: { y: { shape } },
      dispatches: [
        {
          kernel: { name: 'Copy', wgsl: copyWgsl, bindings: ['read', 'write'] },
          buffers: ['x', 'y'],
          uniforms: [u32(vectors)],
          workgroups: [Math.min(GROUPS, Math.ceil(vectors / INVOCATIONS))],
        },
      ],
    };
  }),
});

/** @internal */
export const multiplyAdds = defineOp<{ x: Tensor }, { y: Tensor }, { readonly rounds: number }>({
  name: 'MultiplyAdds',
  outputs: ['y'],
  portable: ({ x }, { rounds }) => {
    let y = x;
    for (let i = 0; i < rounds; i++) y = add(mul(y, 0.5), 0.5);
    return { y: tile(expandDims(y, 0), [GROUPS / 2, INVOCATIONS]) };
  },
  kernels: gpuKernel((call) => ({
    outputs: { y: { shape: [GROUPS / 2, INVOCATIONS] } },
    dispatches: [
      {
        kernel: { name: 'MultiplyAdds', wgsl: multiplyAddsWgsl, bindings: ['read', 'write'] },
        buffers: ['x', 'y'],
        uniforms: [u32(call.attrs.rounds)],
        workgroups: [GROUPS / 2],
        flops: (ROUND_FLOPS * call.attrs.rounds * GROUPS * INVOCATIONS) / 2,
      },
    ],
  })),
});

/**
 * Measures the bandwidth of a copy (bytes read and bytes written) and the rate of float32 multiply-adds (two operations each) on
 * the device of the current backend; a second at most on a GPU. Matrix units in half precision do more.
 *
 * @throws MnemixError `backend` where the current backend is not WebGPU
 */
export async function measureCeilings(): Promise<DeviceCeilings> {
  const device = currentDevice();
  if (!device) {
    throw new MnemixError({
      code: 'backend',
      where: 'measureCeilings',
      message: 'the current backend is not WebGPU.',
      fix: "Call openBackend('webgpu') first.",
    });
  }
  const most = Math.min(LARGEST_BYTES, largestTensor(device));
  let bytes = SMALLEST_BYTES;
  const copies = async (): Promise<number> => {
    const x = ones([bytes / 4]);
    const milliseconds = await bestOf(() => copy({ x }, {}).y);
    x.dispose();
    return milliseconds;
  };
  let copyTime = await copies();
  while (copyTime < LONG_MILLISECONDS && 2 * bytes <= most) {
    bytes *= 2;
    copyTime = await copies();
  }
  const x = ones([1]);
  let rounds = 1;
  const compute = (): Promise<number> => bestOf(() => multiplyAdds({ x }, { rounds }).y);
  let computeTime = await compute();
  while (computeTime < LONG_MILLISECONDS) {
    rounds *= 2;
    computeTime = await compute();
  }
  x.dispose();
  const flops = (ROUND_FLOPS * rounds * GROUPS * INVOCATIONS) / 2;
  return {
    bytesPerSecond: (2 * bytes * 1000) / copyTime,
    flopsPerSecond: (flops * 1000) / computeTime,
  };
}

/** The shortest time of one run, in milliseconds, after one that compiles; long ones are not repeated often. */
async function bestOf(run: () => Tensor): Promise<number> {
  const once = async (): Promise<number> => {
    if (!currentDevice()?.features.has('timestamp-query')) {
      const start = performance.now();
      const y = run();
      await y.data();
      y.dispose();
      return performance.now() - start;
    }
    // Each dispatch alone: between the first command and the last a device may wait for JavaScript.
    const { device } = await profileDevice(() => run().dispose());
    return device.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  };
  await once();
  let best = await once();
  for (let i = 1; i < REPEATS && i * best < 10 * REPEATS * LONG_MILLISECONDS; i++) {
    best = Math.min(best, await once());
  }
  return best;
}
