// Choices, weights, losses and load against float64.
import {
  add,
  mul,
  openBackend,
  Rng,
  sum,
  tensor1d,
  tensor2d,
  tidy,
  valueAndGrad,
  type Scalar,
  type Tensor,
  type Tensor2D,
} from '@mnemix/tensor';
import { centralDifferences, nd, pooledBalanceLoss, topKRouter } from '@mnemix/testkit';
import { describe, expect, it } from 'vitest';
import { balanceLoss, route, routingLoad, zLoss } from '../src/index.ts';

const logitsOf = (seed: number, rows: number, memories: number): Tensor2D =>
  Rng.of(seed).normal([rows, memories], 0, 2) as Tensor2D;
const float64 = (t: Tensor) => nd(t.shape, t.dataSync());

describe.each(['wasm', 'cpu'] as const)('on %s', (backend) => {
  it.each([
    [1, 1, 1],
    [7, 4, 2],
    [75, 5, 5],
    [64, 16, 3],
  ])('routes %i tokens over %i memories, %i each, as the float64 router', async (tokens, memories, topK) => {
    await openBackend(backend);
    tidy(() => {
      const logits = logitsOf(1, tokens, memories);
      const { choices, weights } = route(logits, topK);
      const expected = topKRouter(float64(logits), topK);
      expect([...choices.dataSync()]).toEqual([...expected.selected.data]);
      expect(weights).toBeCloseRms(expected.weights, 1e-6);
    });
  });

  it('prefers the lower index among equal scores', async () => {
    await openBackend(backend);
    tidy(() => {
      const { choices } = route(tensor2d([[1, 3, 3, 1, 3]]), 4);
      expect([...choices.dataSync()]).toEqual([1, 2, 4, 0]);
    });
  });

  it('gives unchosen scores no gradient through the weights', async () => {
    await openBackend(backend);
    tidy(() => {
      const logits = logitsOf(2, 9, 4);
      const dw = Rng.of(3).normal([9, 2]);
      const { grads } = valueAndGrad((x: Tensor2D) => ({
        value: sum(mul(route(x, 2).weights, dw)) as Scalar,
      }))(logits);
      const expected = centralDifferences(
        ({ x }) => topKRouter(x!, 2).weights.data.reduce((n, w, i) => n + w * dw.dataSync()[i]!, 0),
        { x: float64(logits) },
      );
      expect(grads).toBeCloseRms(expected.x!, 1e-5);
    });
  });

  it('balances the pooled rows of all layers, or every layer by itself', async () => {
    await openBackend(backend);
    tidy(() => {
      const layers = [logitsOf(4, 20, 4), logitsOf(5, 20, 4)];
      const samples = layers.map((logits) => route(logits, 2));
      const all = nd(
        [40, 4],
        layers.flatMap((l) => [...l.dataSync()]),
      );
      expect(balanceLoss(samples)).toBeCloseRms(pooledBalanceLoss(all, 2), 1e-5);
      const alone = layers.map((logits) => pooledBalanceLoss(float64(logits), 2));
      expect(balanceLoss(samples, 'layer')).toBeCloseRms((alone[0]! + alone[1]!) / 2, 1e-5);
    });
  });

  it('pools layers of other numbers of memories or choices apart, each pool counting by its layers', async () => {
    await openBackend(backend);
    tidy(() => {
      const layers = [logitsOf(4, 20, 4), logitsOf(5, 20, 3), logitsOf(6, 20, 4)];
      const { grads, value } = valueAndGrad((logits: readonly Tensor2D[]) => ({
        value: balanceLoss(logits.map((l) => route(l, l.shape[1] - 2))),
      }))(layers);
      const loss = ({ a, b, c }: Record<string, ReturnType<typeof nd>>): number =>
        (2 * pooledBalanceLoss(nd([40, 4], [...a!.data, ...c!.data]), 2) + pooledBalanceLoss(b!, 1)) / 3;
      const at = { a: float64(layers[0]!), b: float64(layers[1]!), c: float64(layers[2]!) };
      expect(value).toBeCloseRms(loss(at), 1e-5);
      const expected = centralDifferences(loss as never, at) as typeof at;
      expect(grads[0]!).toBeCloseRms(expected.a, 1e-4);
      expect(grads[1]!).toBeCloseRms(expected.b, 1e-4);
      expect(grads[2]!).toBeCloseRms(expected.c, 1e-4);
      const z = zLoss(layers.map((l) => route(l, 1)));
      const each = layers.map((l) => zLoss([route(l, 1)]).dataSync()[0]!);
      expect(z).toBeCloseRms(each.reduce((n, one) => n + one, 0) / 3, 1e-5);
    });
  });

  it('has the gradient of the balance loss, with padding left out', async () => {
    await openBackend(backend);
    tidy(() => {
      const logits = logitsOf(6, 12, 3);
      const rowSequence = tensor1d([0, 0, 0, -1, -1, 0, 0, 0, 0, 0, 0, -1], 'int32');
      const mask = [1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 0];
      const { grads, value } = valueAndGrad((x: Tensor2D) => {
        const { choices } = route(x, 2);
        return { value: balanceLoss([{ logits: x, choices, rowSequence }]) };
      })(logits);
      const loss = ({ x }: Record<string, ReturnType<typeof nd>>): number => pooledBalanceLoss(x!, 2, mask);
      expect(value).toBeCloseRms(loss({ x: float64(logits) }), 1e-5);
      expect(grads).toBeCloseRms(centralDifferences(loss as never, { x: float64(logits) }).x!, 1e-4);
    });
  });

  it('adds the gradient of losses on the scores to that of the weights', async () => {
    await openBackend(backend);
    tidy(() => {
      const logits = logitsOf(7, 12, 4);
      const dw = Rng.of(8).normal([12, 2]);
      const { grads } = valueAndGrad((x: Tensor2D) => {
        const routing = route(x, 2);
        return { value: add(sum(mul(routing.weights, dw)), balanceLoss([routing])) as Scalar };
      })(logits);
      const expected = centralDifferences(
        ({ x }) =>
          topKRouter(x!, 2).weights.data.reduce((n, w, i) => n + w * dw.dataSync()[i]!, 0) +
          pooledBalanceLoss(x!, 2),
        { x: float64(logits) },
      );
      expect(grads).toBeCloseRms(expected.x!, 1e-5);
    });
  });

  it('reports the share of copies that each memory received', async () => {
    await openBackend(backend);
    tidy(() => {
      const choices = tensor2d(
        [
          [0, 1],
          [0, 2],
          [0, 1],
          [3, 2],
        ],
        undefined,
        'int32',
      );
      const sample = { logits: logitsOf(1, 4, 4), choices, rowSequence: tensor1d([0, 0, 0, -1], 'int32') };
      expect(routingLoad(sample)).toBeCloseRms([3 / 6, 2 / 6, 1 / 6, 0], 1e-6);
    });
  });

  it('keeps scores small with the z-loss', async () => {
    await openBackend(backend);
    tidy(() => {
      const logits = logitsOf(9, 5, 3);
      const expected = Array.from(
        { length: 5 },
        (_, r) => Math.log([0, 1, 2].reduce((s, m) => s + Math.exp(logits.dataSync()[r * 3 + m]!), 0)) ** 2,
      );
      expect(zLoss([route(logits, 1)])).toBeCloseRms(expected.reduce((a, b) => a + b) / 5, 1e-5);
    });
  });
});

it('refuses to choose more memories than there are', () => {
  expect(() => route(tensor2d([[1, 2]]), 3)).toThrow(
    /route\(topK\): each token should go to 3 of 2 memories/,
  );
});
