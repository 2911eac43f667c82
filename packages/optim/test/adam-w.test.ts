import {
  disposeTree,
  entries,
  flatten,
  leaves,
  mapTree,
  memory,
  openBackend,
  tensor,
  type ParamTree,
  type Tensor,
} from '@mnemix/tensor';
import { adamWStep, nd, seededRandom, type NdArray } from '@mnemix/testkit';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { adamW, checkFinite, schedule, standardGroups, type AdamWState } from '../src/index.ts';

const SHAPES: Record<string, number[]> = {
  'embeddings.weight': [7, 5],
  'layers.0.attn_norm.weight': [5],
  'layers.0.attn.q_proj.weight': [6, 5],
  'layers.0.attn.A_log': [2],
  'layers.0.attn.dt_bias': [2],
  'layers.0.attn.o_proj.bias': [3, 5],
  'lm_head.weight': [7, 5],
};
const DECAYED = ['embeddings.weight', 'layers.0.attn.q_proj.weight', 'lm_head.weight'];

type Oracle = Record<string, NdArray>;

/** Normal numbers of the given scale for every parameter. */
function draw(seed: number, scale: number): Oracle {
  const random = seededRandom(seed);
  return Object.fromEntries(
    Object.entries(SHAPES).map(([path, shape]) => [path, random.normals(shape, scale)]),
  );
}

/** Nests `a.b.c` paths. */
function toTree(values: Oracle): ParamTree {
  const root: Record<string, unknown> = {};
  for (const [path, { shape, data }] of Object.entries(values)) {
    const names = path.split('.');
    let node = root;
    for (const name of names.slice(0, -1)) node = (node[name] ??= {}) as Record<string, unknown>;
    node[names.at(-1) as string] = tensor(Float32Array.from(data), [...shape]);
  }
  return root as ParamTree;
}

const normOf = (values: Oracle): number =>
  Math.sqrt(Object.values(values).reduce((sum, { data }) => sum + data.reduce((s, x) => s + x * x, 0), 0));

const read = (tree: ParamTree) =>
  Object.fromEntries(Array.from(entries(tree), ([path, leaf]) => [path, Array.from(leaf.dataSync())]));

function expectTree(found: ParamTree, expected: Oracle): void {
  for (const [path, leaf] of entries(found)) expect(leaf).toBeCloseRms(expected[path] as NdArray, 2e-6, 1e-9);
}

describe.each(['cpu', 'wasm'] as const)('AdamW on %s', (backend) => {
  beforeAll(async () => {
    await openBackend(backend);
  });

  it('follows the float64 oracle over eight steps, with groups, a schedule and clipping', () => {
    const rate = schedule({ kind: 'cosine', learningRate: 0.02, steps: 8, warmupSteps: 2, finalRatio: 0.1 });
    const optimiser = adamW({
      beta2: 0.95,
      weightDecay: 0.1,
      clipNorm: 5,
      groups: [
        ...standardGroups(),
        { match: (path) => path.includes('q_proj'), learningRateScale: 0.5, beta1: 0.8 },
      ],
    });
    let expected = draw(1, 1);
    const moments: Record<string, ReturnType<typeof adamWStep>['state']> = {};
    let params = toTree(expected);
    let state: AdamWState<ParamTree> = optimiser.init(params);

    for (let step = 0; step < 8; step++) {
      // Norms of about 1 and 100 in turn: below the clipping norm and above it.
      const grads = draw(100 + step, step % 2 ? 10 : 0.1);
      const norm = normOf(grads);
      const updated = optimiser.update(params, toTree(grads), state, { learningRate: rate(step) });
      ({ params, state } = updated);
      const factor = Math.min(1, 5 / (norm + 1e-6));
      expect(factor < 1).toBe(step % 2 === 1);
      expected = Object.fromEntries(
        Object.entries(expected).map(([path, parameter]) => {
          const gradient = grads[path] as NdArray;
          const isProjection = path.includes('q_proj');
          const next = adamWStep(
            parameter,
            nd(
              gradient.shape,
              gradient.data.map((x) => x * factor),
            ),
            moments[path],
            {
              learningRate: rate(step) * (isProjection ? 0.5 : 1),
              beta1: isProjection ? 0.8 : 0.9,
              beta2: 0.95,
              weightDecay: DECAYED.includes(path) ? 0.1 : 0,
            },
          );
          moments[path] = next.state;
          return [path, next.parameter];
        }),
      );
      expect(updated.gradNorm.dataSync()[0]).toBeCloseRms([norm], 1e-6);
      expect(updated.leafNorms).toBeCloseRms(
        leaves(params).map((_, i) => normOf({ leaf: Object.values(grads)[i] as NdArray })),
        1e-6,
      );
      disposeTree([updated.gradNorm, updated.leafNorms]);
    }
    expect(state.step).toBe(8);
    expectTree(params, expected);
    expectTree(state.m, Object.fromEntries(Object.entries(moments).map(([path, { mean }]) => [path, mean])));
    expectTree(
      state.v,
      Object.fromEntries(Object.entries(moments).map(([path, { meanSquare }]) => [path, meanSquare])),
    );
    disposeTree([params, state.m, state.v]);
  });

  it("has PyTorch's defaults", () => {
    const optimiser = adamW();
    const [weight, grad] = [draw(1, 1), draw(2, 1)];
    const params = toTree(weight);
    const updated = optimiser.update(params, toTree(grad), optimiser.init(params), { learningRate: 1e-3 });
    const path = 'lm_head.weight';
    expect(flatten(updated.params)[path]).toBeCloseRms(
      adamWStep(weight[path] as NdArray, grad[path] as NdArray, undefined, { learningRate: 1e-3 }).parameter,
      1e-6,
    );
  });

  it('consumes what it is given, leaks nothing, and reads nothing back', () => {
    const optimiser = adamW({ clipNorm: 1 });
    let params = toTree(draw(1, 1));
    let state = optimiser.init(params);
    const [grads, before] = [toTree(draw(2, 1)), memory().numTensors];
    const consumed = [...leaves(params), ...leaves(grads), ...leaves(state.m), ...leaves(state.v)];
    const prototype = Object.getPrototypeOf(consumed[0]) as Tensor;
    const reads = [vi.spyOn(prototype, 'dataSync'), vi.spyOn(prototype, 'data')];

    const updated = optimiser.update(params, grads, state, { learningRate: 0.1 });
    for (const spy of reads) {
      expect(spy).not.toHaveBeenCalled();
      spy.mockRestore();
    }
    ({ params, state } = updated);
    expect(consumed.every((leaf) => leaf.isDisposed)).toBe(true);
    expect([...leaves(params), ...leaves(state.m), ...leaves(state.v)].some((leaf) => leaf.isDisposed)).toBe(
      false,
    );
    disposeTree([updated.gradNorm, updated.leafNorms]);
    expect(memory().numTensors).toBe(before - leaves(params).length);
  });

  it('continues bit for bit from a saved state', () => {
    const optimiser = adamW({ clipNorm: 1 });
    const run = (params: ParamTree, state: AdamWState<ParamTree>, from: number, to: number) => {
      for (let step = from; step < to; step++) {
        ({ params, state } = optimiser.update(params, toTree(draw(step, 1)), state, { learningRate: 0.01 }));
      }
      return { params, state };
    };
    const start = () => toTree(draw(50, 1));
    const copy = <T extends ParamTree>(tree: T): T =>
      mapTree(tree, (leaf) => tensor(leaf.dataSync().slice(), leaf.shape));
    const whole = run(start(), optimiser.init(start()), 0, 5);
    const half = run(start(), optimiser.init(start()), 0, 2);
    const loaded = { step: half.state.step, m: copy(half.state.m), v: copy(half.state.v) };
    const resumed = run(copy(half.params), loaded, 2, 5);
    expect(read(resumed.params)).toEqual(read(whole.params));
    expect(read(resumed.state.v)).toEqual(read(whole.state.v));
  });

  it('lets the leaf be named whose gradient is not finite', async () => {
    const optimiser = adamW({ clipNorm: 1 });
    const grads = draw(2, 1);
    for (const bad of [NaN, Infinity]) {
      (grads['layers.0.attn.A_log'] as NdArray).data[1] = bad;
      const params = toTree(draw(1, 1));
      const updated = optimiser.update(params, toTree(grads), optimiser.init(params), { learningRate: 0.01 });
      expect(Number.isFinite(updated.gradNorm.dataSync()[0])).toBe(false);
      await expect(
        checkFinite(updated.params, { where: 'gradient', norms: updated.leafNorms }),
      ).rejects.toMatchObject({
        code: 'diverged',
        where: 'gradient: layers.0.attn.A_log',
        detail: { leaves: ['layers.0.attn.A_log'] },
      });
    }
  });

  it('finds no fault with finite trees, and counts the others', async () => {
    const params = toTree(draw(1, 1));
    const before = memory().numTensors;
    await checkFinite(params, { where: 'parameters' });
    expect(memory().numTensors).toBe(before);
    const spoilt = mapTree(params, (leaf, path) =>
      path.includes('attn.') ? tensor(new Float32Array(leaf.size).fill(NaN), leaf.shape) : leaf,
    );
    await expect(checkFinite(spoilt, { where: 'parameters' })).rejects.toThrow(
      'parameters: layers.0.attn.q_proj.weight: this is not finite, nor are 3 more.',
    );
  });
});

describe('AdamW refuses', () => {
  beforeAll(async () => {
    await openBackend('cpu');
  });

  const optimiser = adamW();
  const make = () => ({ a: tensor([1, 2]), b: { weight: tensor([[3]]) } });

  it('trees that do not match, before it consumes anything', () => {
    const params = make();
    const state = optimiser.init(params);
    const attempt =
      (grads: ParamTree, of = state) =>
      () =>
        optimiser.update(params as ParamTree, grads, of, { learningRate: 0.1 });
    expect(attempt({ a: tensor([1, 2]) })).toThrow('adamW.update(grads): there is no tensor for "b.weight".');
    expect(attempt({ ...make(), c: tensor([1]) })).toThrow('adamW.update(grads): there is no parameter "c".');
    expect(attempt({ ...make(), a: tensor([1, 2, 3]) })).toThrow(
      'adamW.update(grads: a): expected shape [2], found [3].',
    );
    expect(attempt(make(), { ...state, v: { a: state.v.a, b: {} } as never })).toThrow(
      'adamW.update(state.v): there is no tensor for "b.weight".',
    );
    expect(leaves([params, state.m, state.v]).some((leaf) => leaf.isDisposed)).toBe(false);
  });

  it('learning rates that are no rates', () => {
    const params = make();
    expect(() => optimiser.update(params, make(), optimiser.init(params), { learningRate: NaN })).toThrow(
      'adamW.update(learningRate): expected a number ≥ 0, found NaN.',
    );
  });

  it('tied weights that stand in the tree twice, and integers', () => {
    const { a } = make();
    expect(() => optimiser.init({ a, b: a })).toThrow('adamW.init(params): b: this is the same tensor as a.');
    expect(() => optimiser.init({ ids: tensor([1], [1], 'int32') })).toThrow(
      'adamW.init(params): ids: this is int32.',
    );
  });

  it.each<[message: string, options: object]>([
    ['adamW: beta1: expected a number from 0 to 0.9', { beta1: 1 }],
    ['adamW: weightDecay: expected a number ≥ 0, found -1.', { weightDecay: -1 }],
    ['adamW: clipNorm: expected a number', { clipNorm: 0 }],
    ['adamW: lr: unknown key.', { lr: 1 }],
    ['adamW: groups[0].decay: unknown key.', { groups: [{ match: () => true, decay: 0 }] }],
    [
      'adamW: groups[0].learningRateScale: expected a number ≥ 0, found NaN.',
      { groups: [{ match: () => true, learningRateScale: NaN }] },
    ],
  ])('settings: %s', (message, options) => {
    expect(() => adamW(options as never)).toThrow(message);
  });
});
