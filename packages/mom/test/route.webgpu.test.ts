// The router's choice and its balance on WebGPU, which has kernels for them, against the float64 router.
import { centralDifferences, describeOnWebgpu, nd, pooledBalanceLoss, topKRouter } from '@mnemix/testkit';
import { balanceLoss, route, routingLoad } from '@mnemix/router';
import {
  add,
  closeBackend,
  mul,
  openBackend,
  Rng,
  sum,
  tensor1d,
  tensor2d,
  valueAndGrad,
  type Scalar,
  type Tensor2D,
} from '@mnemix/tensor';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import '../src/index.ts';

// A software adapter takes a while to compile a pipeline.
vi.setConfig({ testTimeout: 300_000 });

describeOnWebgpu('route', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

  it.each([
    [1, 1, 1],
    [7, 4, 2],
    [75, 5, 5],
    [64, 16, 3],
  ])('routes %i tokens over %i memories, %i each, with its gradient', async (tokens, memories, topK) => {
    const logits = Rng.of(1).normal([tokens, memories], 0, 2) as Tensor2D;
    const dWeights = Rng.of(2).normal([tokens, topK]);
    const { value, grads, aux } = valueAndGrad((x: Tensor2D) => {
      const { choices, weights } = route(x, topK);
      return { value: sum(mul(weights, dWeights)) as Scalar, aux: { choices, weights } };
    })(logits);
    const given = nd(logits.shape, await logits.data<'float32'>());
    const slopes = await dWeights.data<'float32'>();
    const expected = topKRouter(given, topK);
    expect(Array.from(await aux.choices.data())).toEqual(Array.from(expected.selected.data));
    expect(nd(aux.weights.shape, await aux.weights.data<'float32'>())).toBeCloseRms(expected.weights, 1e-6);
    const { x } = centralDifferences(
      (inputs) => topKRouter(inputs['x']!, topK).weights.data.reduce((n, w, i) => n + w * slopes[i]!, 0),
      { x: given },
    );
    expect(nd(grads.shape, await grads.data<'float32'>())).toBeCloseRms(x!, 1e-4, 1e-6);
    for (const made of [logits, dWeights, value, grads, ...Object.values(aux)]) made.dispose();
  });

  it.each([
    [1, 1, 1],
    [300, 5, 2],
  ])('balances %i tokens over %i memories, %i each, without padding', async (tokens, memories, topK) => {
    const logits = Rng.of(3).normal([tokens, memories], 0, 2) as Tensor2D;
    const mask = Array.from({ length: tokens }, (_, row) => Number(row % 7 !== 3));
    const rowSequence = tensor1d(
      mask.map((isReal) => isReal - 1),
      'int32',
    );
    const { value, grads, aux } = valueAndGrad((x: Tensor2D) => {
      const { choices } = route(x, topK);
      const sample = { logits: x, choices, rowSequence };
      return { value: balanceLoss([sample]), aux: { choices, load: routingLoad(sample) } };
    })(logits);
    const given = nd(logits.shape, await logits.data<'float32'>());
    const loss = ({ x }: Record<string, typeof given>): number => pooledBalanceLoss(x!, topK, mask);
    expect((await value.data())[0]).toBeCloseTo(loss({ x: given }), 5);
    expect(nd(grads.shape, await grads.data<'float32'>())).toBeCloseRms(
      centralDifferences(loss as never, { x: given })['x']!,
      1e-4,
      1e-8,
    );
    const choices = await aux.choices.data();
    const counts = Array<number>(memories).fill(0);
    choices.forEach((memory, copy) => (counts[memory]! += mask[Math.floor(copy / topK)]!));
    const copies = counts.reduce((a, b) => a + b, 0);
    expect(nd([memories], await aux.load.data<'float32'>())).toBeCloseRms(
      counts.map((count) => count / copies),
      1e-5,
    );
    for (const made of [logits, rowSequence, value, grads, ...Object.values(aux)]) made.dispose();
  });

  it('adds the gradient of losses on the scores to that of the weights', async () => {
    const logits = Rng.of(4).normal([75, 5], 0, 2) as Tensor2D;
    const dWeights = Rng.of(5).normal([75, 2]);
    const { value, grads } = valueAndGrad((x: Tensor2D) => {
      const routing = route(x, 2);
      return { value: add(sum(mul(routing.weights, dWeights)), balanceLoss([routing])) as Scalar };
    })(logits);
    const slopes = await dWeights.data<'float32'>();
    const { x } = centralDifferences(
      (inputs) =>
        topKRouter(inputs['x']!, 2).weights.data.reduce((n, w, i) => n + w * slopes[i]!, 0) +
        pooledBalanceLoss(inputs['x']!, 2),
      { x: nd(logits.shape, await logits.data<'float32'>()) },
    );
    expect(nd(grads.shape, await grads.data<'float32'>())).toBeCloseRms(x!, 1e-4, 1e-6);
    for (const made of [logits, dWeights, value, grads]) made.dispose();
  });

  it('prefers the lower index among equal scores, infinite ones too', async () => {
    const scores = [
      [1, 3, 3, 1, 3],
      [-Infinity, -Infinity, 2, -Infinity, -Infinity],
    ];
    const logits = tensor2d(scores);
    const routing = route(logits, 4);
    expect(Array.from(await routing.choices.data())).toEqual([1, 2, 4, 0, 2, 0, 1, 3]);
    expect(Array.from(await routing.weights.data()).slice(4)).toEqual([1, 0, 0, 0]);
    for (const made of [logits, ...Object.values(routing)]) made.dispose();
  });
});
