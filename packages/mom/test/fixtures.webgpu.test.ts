// The MoM layer on WebGPU against fla: output and all gradients.
import { gatedDeltaNet } from '@mnemix/cells';
import {
  closeBackend,
  disposeTree,
  entries,
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
  type TensorTree,
} from '@mnemix/tensor';
import { describeOnWebgpu, readLayerFixture } from '@mnemix/testkit';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { mom } from '../src/index.ts';

// A software adapter takes a while to compile the pipelines of a whole layer.
vi.setConfig({ testTimeout: 300_000 });

const host = async (x: Tensor) => ({ shape: x.shape, data: await x.data() });

describeOnWebgpu('mom', (backend) => {
  beforeAll(async () => {
    await openBackend(backend);
  });
  afterAll(closeBackend);

  it('equals fla: output and all gradients', async () => {
    const golden = readLayerFixture('mom_gated_delta');
    const mixer = mom({
      cell: gatedDeltaNet({ width: 64, heads: 2, headWidth: 16, expandV: 1 }),
      memories: 4,
      topK: 2,
    });
    const result = tidy(() => {
      const params = unflatten(
        mixer.init(Rng.of(1)) as ParamTree,
        Object.fromEntries(
          Object.entries(golden.params).map(([path, t]) => [path, tensor(t.data, [...t.shape])]),
        ),
      );
      const x = tensor(golden.x.data, [...golden.x.shape] as [number, number, number]) as Tensor3D;
      const dy = tensor(golden.dy.data, [...golden.dy.shape]);
      const { grads, aux } = valueAndGrad((tree: { x: Tensor3D; params: ParamTree }) => {
        const { y } = mixer.forward(tree.params as never, tree.x);
        return { value: sum(mul(y, dy)) as Scalar, aux: { y } };
      })({ x, params });
      return { y: aux.y, x: grads.x, params: grads.params } as never;
    }) as { y: Tensor; x: Tensor; params: TensorTree };
    expect(await host(result.y)).toBeCloseRms(golden.y, 1e-4, 0);
    expect(await host(result.x)).toBeCloseRms(golden.gradients.x, 1e-3, 0);
    for (const [path, leaf] of entries(result.params)) {
      expect(await host(leaf), path).toBeCloseRms(golden.gradients.params[path]!, 1e-3, 0);
    }
    disposeTree(result);
  });
});
