// Every cell on WebGPU: outputs, states and gradients as on WASM, which the other tests hold against float64.
import { asMixer, type Mixer } from '@mnemix/layers';
import {
  closeBackend,
  disposeTree,
  flatten,
  mul,
  openBackend,
  Rng,
  sum,
  tensor,
  tidy,
  unflatten,
  valueAndGrad,
  type ParamTree,
  type Scalar,
  type Tensor,
  type Tensor3D,
} from '@mnemix/tensor';
import { describeOnWebgpu, nd, type NdArray } from '@mnemix/testkit';
import { afterAll, expect, it, vi } from 'vitest';
import { cellCases } from './cases.ts';

// A software adapter takes a while to compile its first pipelines.
vi.setConfig({ testTimeout: 300_000 });

type Values = Readonly<Record<string, NdArray>>;

/** Parameters [path] and input of a cell, drawn on the host so that all backends have the same. */
function drawn(mixer: Mixer): { params: Values; x: NdArray; dy: NdArray } {
  const like = mixer.init(Rng.of(1));
  const params = Object.fromEntries(
    Object.entries(flatten(like)).map(([path, { shape, size }]) => [
      path,
      nd(shape, Rng.of(3).fold(path).normalArray(size, 0, 0.3)),
    ]),
  );
  disposeTree(like);
  const shape = [2, 19, mixer.width];
  const draw = (seed: number) => nd(shape, Rng.of(seed).normalArray(2 * 19 * mixer.width));
  return { params, x: draw(2), dy: draw(4) };
}

const toTensor = ({ data, shape }: NdArray): Tensor => tensor(Float32Array.from(data), [...shape]);

async function run(mixer: Mixer, { params, x, dy }: ReturnType<typeof drawn>): Promise<Values> {
  const results = tidy(() => {
    const tree = unflatten(
      mixer.init(Rng.of(1)) as ParamTree,
      Object.fromEntries(Object.entries(params).map(([path, value]) => [path, toTensor(value)])),
    );
    const segments = [
      { row: 0, start: 0, length: 17 },
      { row: 1, start: 2, length: 0 },
      { row: 1, start: 2, length: 5 },
    ];
    const { grads, aux } = valueAndGrad((at: { x: Tensor3D; params: ParamTree }) => {
      const { y, state } = mixer.forward(at.params, at.x, { segments });
      return { value: sum(mul(y, toTensor(dy))) as Scalar, aux: { y, state } };
    })({ x: toTensor(x) as Tensor3D, params: tree });
    return { ...aux, grads } as never;
  }) as ParamTree;
  const entries = Object.entries(flatten(results));
  return Object.fromEntries(
    await Promise.all(
      entries.map(async ([path, leaf]) => {
        const value = nd(leaf.shape, await leaf.data());
        leaf.dispose();
        return [path, value] as const;
      }),
    ),
  );
}

describeOnWebgpu('cells', (backend) => {
  afterAll(closeBackend);

  it.each(cellCases)('$name gives what it gives on WASM', async ({ small }) => {
    const mixer = asMixer(small()) as Mixer;
    await openBackend('wasm');
    const values = drawn(mixer);
    const wanted = await run(mixer, values);
    await openBackend(backend);
    const found = await run(mixer, values);
    for (const [path, value] of Object.entries(wanted)) expect(found[path], path).toBeCloseRms(value, 1e-4);
  });
});
