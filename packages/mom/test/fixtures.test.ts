// The MoM layer against fla and against the float64 recurrence: outputs, routing, states, gradients.
import { gatedDeltaNet } from '@mnemix/cells';
import {
  flatten,
  mul,
  openBackend,
  reshape,
  Rng,
  sum,
  tensor,
  tidy,
  unflatten,
  valueAndGrad,
  type ParamTree,
  type Scalar,
  type Tensor3D,
} from '@mnemix/tensor';
import { balanceLoss } from '@mnemix/router';
import { readLayerFixture, readMomLayerFixture } from '@mnemix/testkit';
import { describe, expect, it } from 'vitest';
import { mom } from '../src/index.ts';

const layer = (width: number, config: Record<string, unknown>) =>
  mom({
    cell: gatedDeltaNet({
      width,
      heads: config.num_heads as number,
      headWidth: config.head_dim as number,
      expandV: config.expand_v as number,
    }),
    memories: config.num_memories as number,
    topK: config.topk as number,
    shared: Boolean(config.shared_mem),
    singleKvProj: Boolean(config.single_kv_proj),
  });

describe.each(['wasm', 'cpu'] as const)('on %s', (backend) => {
  it.each(['mom_gated_delta', 'mom_gated_delta_noshared', 'mom_gated_delta_singlekv'])(
    '%s equals fla: output, router scores and all gradients',
    async (name) => {
      await openBackend(backend);
      const golden = readLayerFixture(name);
      const mixer = layer(64, golden.config);
      tidy(() => {
        const like = mixer.init(Rng.of(1)) as ParamTree;
        expect(Object.keys(flatten(like)).sort()).toEqual(Object.keys(golden.params).sort());
        const params = unflatten(
          like,
          Object.fromEntries(
            Object.entries(golden.params).map(([path, t]) => [path, tensor(t.data, [...t.shape])]),
          ),
        );
        const dy = tensor(golden.dy.data, [...golden.dy.shape]);
        const { grads, aux } = valueAndGrad((tree: { x: Tensor3D; params: ParamTree }) => {
          const { y, aux: extra } = mixer.forward(tree.params as never, tree.x);
          return { value: sum(mul(y, dy)) as Scalar, aux: { y, routing: extra.routing } };
        })({ x: tensor(golden.x.data, [...golden.x.shape] as [number, number, number]) as Tensor3D, params });
        expect(aux.y).toBeCloseRms(golden.y, 1e-4, 0);
        expect(flatten(aux.routing).logits).toBeCloseRms(golden.extra.router_logits!, 1e-4, 0);
        expect(grads.x).toBeCloseRms(golden.gradients.x, 1e-3, 0);
        for (const [path, gradient] of Object.entries(flatten(grads.params))) {
          // The floor is for a router with one choice, whose true gradient is zero: the golden one is rounding.
          expect(gradient, path).toBeCloseRms(golden.gradients.params[path]!, 1e-3, 1e-7);
        }
      });
    },
  );

  it('equals the float64 layer: routing, weights, states of all memories, balance loss', async () => {
    await openBackend(backend);
    const golden = readMomLayerFixture();
    const mixer = layer(8, golden.config as Record<string, unknown>);
    tidy(() => {
      const values = Object.entries(golden.params).map(([path, t]) => [
        path,
        tensor(Float32Array.from(t.data), [...t.shape]),
      ]);
      const params = unflatten(mixer.init(Rng.of(1)) as ParamTree, Object.fromEntries(values));
      const tokens = golden.x.shape[0]!;
      const x = tensor(Float32Array.from(golden.x.data), [1, tokens, 8]) as Tensor3D;
      const { y, state, aux } = mixer.forward(params as never, x);
      const routing = aux.routing as never as Record<string, ReturnType<typeof tensor>>;
      expect(reshape(y, [tokens, 8])).toBeCloseRms(golden.output, 1e-5, 0);
      expect(Array.from(routing.choices!.dataSync())).toEqual(Array.from(golden.selected.data));
      expect(routing.weights!).toBeCloseRms(golden.weights, 1e-5, 0);
      expect(flatten(state)['memories.memory']!).toBeCloseRms(golden.finalStates, 1e-5, 0);
      expect(balanceLoss([routing as never])).toBeCloseRms(golden.auxLoss, 1e-5, 0);
    });
  });
});
