import { describeOnWebgpu, nd, seededRandom } from '@mnemix/testkit';
import { closeBackend, openBackend } from '@mnemix/tensor';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import {
  batchSequences,
  routeGather,
  routeGathers,
  routeMix,
  routePlan,
  type RoutePlan,
} from '../../src/index.ts';
import { expectToMatch, float32, int32, runOp, runOracle, toTensor } from '../op-cases.ts';
import {
  choicesOf,
  copiesOf,
  gatherOracle,
  mixOracle,
  planOf,
  routeCases,
  routeInputs,
  type RouteCase,
} from '../route-cases.ts';
import { countStockPrograms } from './stock-programs.ts';

// A software adapter takes a while to compile a pipeline.
vi.setConfig({ testTimeout: 300_000 });

const makePlan = (shape: RouteCase): RoutePlan =>
  routePlan(int32(choicesOf(shape), [shape.batch * shape.tokens, shape.chosen]), {
    memories: shape.memories,
    shared: shape.shared ?? false,
    sequences: batchSequences(shape.batch, shape.tokens, shape.segments),
  });

describeOnWebgpu('routing of rows', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

  it.each(routeCases)('gathers and mixes $name, at widths that are no multiples of 4 too', async (shape) => {
    const expected = planOf(shape, choicesOf(shape));
    const plan = makePlan(shape);
    for (const width of [1, 6, 8]) {
      const { x, o, weights, dy, dCopies } = routeInputs(shape, width);
      const gathered = await runOp({ x }, (t) => ({ y: routeGather(t['x']!, plan) }), { y: dCopies });
      expectToMatch(gathered, runOracle({ x }, gatherOracle(expected.source), { y: dCopies }));
      const mixed = await runOp({ o, weights }, (t) => ({ y: routeMix(t as never, plan) }), { y: dy });
      expectToMatch(
        mixed,
        runOracle({ o, weights }, mixOracle(expected.position, copiesOf(shape)), { y: dy }),
      );
    }
  });

  it.each([[8, 4], [8, 3, 6], [4]])('gathers several tensors at once, %i, … wide', async (...widths) => {
    const shape = routeCases.find(({ shared }) => shared)!;
    const plan = makePlan(shape);
    const { source } = planOf(shape, choicesOf(shape));
    const each = widths.map((width) => routeInputs(shape, width));
    const xs = Object.fromEntries(each.map(({ x }, i) => [`x${i}`, x]));
    const dys = Object.fromEntries(each.map(({ dCopies }, i) => [`y${i}`, dCopies]));
    const named = <T>(made: readonly T[]) => Object.fromEntries(made.map((y, i) => [`y${i}`, y]));
    const actual = await runOp(xs, (t) => named(routeGathers(Object.values(t), plan)), dys);
    const oracle = (t: typeof xs) => named(Object.values(t).map((x) => gatherOracle(source)({ x }).y!));
    expectToMatch(actual, runOracle(xs, oracle, dys));
  });

  it('mixes rows that are longer than a workgroup, and more rows than it has', async () => {
    for (const [tokens, width] of [
      [3, 1036],
      [300, 4],
    ] as const) {
      const shape: RouteCase = { name: '', batch: 1, tokens, memories: 3, chosen: 2 };
      const expected = planOf(shape, choicesOf(shape));
      const plan = makePlan(shape);
      const { o, weights, dy } = routeInputs(shape, width);
      const { outputs, gradients } = await runOp({ o, weights }, (t) => ({ y: routeMix(t as never, plan) }), {
        y: dy,
      });
      expect(outputs['y']).toBeCloseRms(mixOracle(expected.position, 2)({ o, weights }).y, 1e-5);
      // The mix is linear in each of its inputs.
      const dO = nd(o.shape);
      const dWeights = nd(weights.shape);
      expected.position.forEach((place, copy) => {
        for (let c = 0; c < width; c++) {
          const slope = dy.data[Math.floor(copy / 2) * width + c]!;
          dO.data[place * width + c] = weights.data[copy]! * slope;
          dWeights.data[copy]! += slope * o.data[place * width + c]!;
        }
      });
      expect(gradients['o']).toBeCloseRms(dO, 1e-4);
      expect(gradients['weights']).toBeCloseRms(dWeights, 1e-4);
    }
  });

  it('goes without stock kernels', () => {
    const plan = makePlan(routeCases[1]!);
    const random = seededRandom(4);
    const [x, o, weights] = [
      [18, 5],
      [36, 5],
      [18, 2],
    ].map((shape) => toTensor(float32(random.normals(shape))));
    expect(countStockPrograms(() => routeGather(x!, plan))).toBe(0);
    expect(countStockPrograms(() => routeMix({ o: o!, weights: weights! }, plan))).toBe(0);
    for (const tensor of [x!, o!, weights!]) tensor.dispose();
  });
});
