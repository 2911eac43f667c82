import {
  closeBackend,
  defineOp,
  disposeTree,
  memory,
  mul,
  openBackend,
  reshape,
  Rng,
  sum,
  valueAndGrad,
  type Scalar,
  type Tensor,
} from '@mnemix/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  adamW,
  deltaRule,
  globalNorm,
  l2Norm,
  linear,
  rmsNorm,
  shortConv,
  uniformSequences,
  type AdamWTensors,
} from '../src/index.ts';
import { wasmKernel } from '../src/wasm/bridge.ts';

interface HeapBackend {
  numDataIds(): number;
  readonly wasm: { readonly HEAPU8: Uint8Array };
}

describe('memory on wasm', () => {
  let heap: HeapBackend;
  beforeAll(async () => {
    await openBackend('wasm', { threads: 1 });
    const look = defineOp<{ x: Tensor }, { y: Tensor }, object>({
      name: 'TestLook',
      outputs: ['y'],
      portable: ({ x }) => ({ y: x }),
      kernels: {
        wasm: ({ backend }) => {
          heap = backend as HeapBackend;
          return undefined;
        },
      },
    });
    const x = Rng.of(0).normal([1]);
    disposeTree([x, look({ x }, {})]);
  });
  afterAll(closeBackend);

  it('is flat over two hundred training steps: tensors, buffers, bytes and the heap itself', () => {
    const [batch, tokens, width] = [2, 40, 16];
    const rng = Rng.of(1);
    const sequences = uniformSequences(batch, tokens);
    const x = rng.normal([batch * tokens, width]);
    const start = (label: string, shape: number[]): AdamWTensors => {
      const param = rng.fold(label).normal(shape, 0, 0.3);
      return { param, m: mul(param, 0), v: mul(param, 0) };
    };
    let state = { weight: start('weight', [width, width]), taps: start('taps', [width, 1, 4]) };
    const step = valueAndGrad(({ weight, taps }: { weight: Tensor; taps: Tensor }) => {
      const { y } = shortConv({ x: linear({ x, weight }), weight: taps }, { sequences });
      const rows = reshape(rmsNorm({ x: y }), [batch * tokens, 2, width / 2]);
      const { o } = deltaRule({ q: rows, k: l2Norm(rows), v: rows }, { sequences });
      return { value: sum(mul(o, o)) as Scalar };
    });
    const train = (count: number): void => {
      const { value, grads } = step({ weight: state.weight.param, taps: state.taps.param });
      const norm = globalNorm([grads.weight, grads.taps]);
      const options = { learningRate: 1e-3, step: count, gradScale: norm };
      const next = {
        weight: adamW({ ...state.weight, grad: grads.weight }, options),
        taps: adamW({ ...state.taps, grad: grads.taps }, options),
      };
      disposeTree([value, norm, grads, { ...state.weight }, { ...state.taps }]);
      state = next;
    };
    const measure = () => ({
      ...memory(),
      buffers: heap.numDataIds(),
      heapBytes: heap.wasm.HEAPU8.byteLength,
    });
    for (let i = 1; i <= 3; i++) train(i);
    const before = measure();
    for (let i = 4; i <= 203; i++) train(i);
    expect(measure()).toEqual(before);
  });

  it('gets the outputs of a kernel that throws back', () => {
    const failing = defineOp<{ x: Tensor }, { y: Tensor; z: Tensor }, object>({
      name: 'TestFailing',
      outputs: ['y', 'z'],
      portable: ({ x }) => ({ y: x, z: x }),
      kernels: wasmKernel({
        outputs: ({ x }) => [{ shape: x.shape }, { shape: [7] }],
        run: () => {
          throw new Error('inside');
        },
      }),
    });
    const x = Rng.of(2).normal([3]);
    const before = heap.numDataIds();
    expect(() => failing({ x }, {})).toThrow('inside');
    expect(heap.numDataIds()).toBe(before);
    x.dispose();
  });
});
