// Every layer against fla: outputs, and the gradients of input and parameters.
import { readLayerFixture } from '@mnemix/testkit';
import { asMixer } from '@mnemix/layers';
import {
  flatten,
  mul,
  openBackend,
  sum,
  tensor,
  tidy,
  unflatten,
  valueAndGrad,
  Rng,
  type ParamTree,
  type Scalar,
  type Tensor3D,
} from '@mnemix/tensor';
import { describe, expect, it } from 'vitest';
import { cellCases } from './cases.ts';

const rows = cellCases.flatMap(({ fixtures }) => Object.entries(fixtures));

describe.each(['wasm', 'cpu'] as const)('on %s', (backend) => {
  it.each(rows)('%s equals fla: output and all gradients', async (name, cell) => {
    await openBackend(backend);
    const golden = readLayerFixture(name);
    const mixer = asMixer(cell);
    tidy(() => {
      const like = mixer.init(Rng.of(1)) as ParamTree;
      const params = unflatten(
        like,
        Object.fromEntries(
          Object.entries(golden.params).map(([path, t]) => [path, tensor(t.data, [...t.shape])]),
        ),
      );
      expect(Object.keys(flatten(like)).sort()).toEqual(Object.keys(golden.params).sort());
      const x = tensor(golden.x.data, [...golden.x.shape] as [number, number, number]) as Tensor3D;
      const dy = tensor(golden.dy.data, [...golden.dy.shape]);
      const { grads, aux } = valueAndGrad((tree: { x: Tensor3D; params: ParamTree }) => {
        const { y } = mixer.forward(tree.params, tree.x);
        return { value: sum(mul(y, dy)) as Scalar, aux: { y } };
      })({ x, params });
      expect(aux.y).toBeCloseRms(golden.y, 1e-4, 0);
      expect(grads.x).toBeCloseRms(golden.gradients.x, 1e-3, 0);
      for (const [path, gradient] of Object.entries(flatten(grads.params))) {
        expect(gradient, path).toBeCloseRms(golden.gradients.params[path]!, 1e-3, 0);
      }
    });
  });
});
