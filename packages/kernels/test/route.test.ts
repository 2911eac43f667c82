import { nd } from '@mnemix/testkit';
import { memory, openBackend, tensor, tidy, zeros } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  packedSequences,
  batchSequences,
  routeGather,
  routeMix,
  routePlan,
  uniformSequences,
  type RoutePlan,
} from '../src/index.ts';
import * as portableMix from '../src/route-mix/portable.ts';
import * as portablePlan from '../src/route-plan/portable.ts';
import { expectToMatch, int32, runOp, runOracle, toTensor } from './op-cases.ts';
import {
  choicesOf,
  copiesOf,
  gatherOracle,
  mixOracle,
  planOf,
  routeCases,
  routeInputs,
  type RouteCase,
} from './route-cases.ts';

const sequencesOf = ({ batch, tokens, segments }: RouteCase) => batchSequences(batch, tokens, segments);

function makePlan(shape: RouteCase): RoutePlan {
  const choices = int32(choicesOf(shape), [shape.batch * shape.tokens, shape.chosen]);
  return routePlan(choices, {
    memories: shape.memories,
    shared: shape.shared ?? false,
    sequences: sequencesOf(shape),
  });
}

describe.each(['cpu', 'wasm'] as const)('routing on %s', (backend) => {
  beforeAll(() => openBackend(backend));

  it.each(routeCases)('plans $name', (shape) => {
    const expected = planOf(shape, choicesOf(shape));
    const { source, position, buckets, groups } = makePlan(shape);
    const numbers = (x: { dataSync(): ArrayLike<number> }) => Array.from(x.dataSync());
    expect(numbers(source)).toEqual(expected.source);
    expect(numbers(position)).toEqual(expected.position);
    expect(numbers(buckets.starts)).toEqual(expected.starts);
    expect(numbers(buckets.lengths)).toEqual(expected.lengths);
    expect(numbers(buckets.rowSequence)).toEqual(expected.rowBucket);
    expect(numbers(groups.starts)).toEqual(expected.groupStarts);
    expect(numbers(groups.lengths)).toEqual(expected.groupLengths);
    expect(numbers(groups.rowSequence)).toEqual(expected.rowGroup);
    expect(Math.max(...expected.lengths)).toBeLessThanOrEqual(buckets.maxLength);
    expect(Math.max(...expected.groupLengths)).toBeLessThanOrEqual(groups.maxLength);
  });

  it.each(routeCases)('the portable plan for $name is the same', (shape) => {
    const choices = choicesOf(shape);
    tidy(() => {
      const { starts, lengths, rowSequence } = sequencesOf(shape);
      const inputs = {
        choices: int32(choices, [shape.batch * shape.tokens, shape.chosen]),
        starts,
        lengths,
        rowSequence,
      };
      const plan = portablePlan.forward(inputs, {
        memories: shape.memories + Number(shape.shared ?? false),
        isShared: shape.shared ?? false,
      });
      const found = Object.fromEntries(
        Object.entries(plan).map(([name, x]) => [name, Array.from(x.dataSync())]),
      );
      expect(found).toEqual(planOf(shape, choices));
      expect(Object.values(plan).map((x) => x.dtype)).toEqual(Array(8).fill('int32'));
    });
  });

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

  it.each(routeCases)('the portable mix of $name matches the oracle', (shape) => {
    const expected = planOf(shape, choicesOf(shape));
    const { x, o, weights, dy } = routeInputs(shape, 5);
    const wanted = runOracle({ o, weights }, mixOracle(expected.position, copiesOf(shape)), { y: dy });
    tidy(() => {
      const { source, position } = makePlan(shape);
      const inputs = { o: toTensor(o), weights: toTensor(weights), source, position };
      expect(portableMix.mix(inputs).y).toBeCloseRms(wanted.outputs['y']!, 1e-5);
      const { dO, dWeights } = portableMix.mixBackward({ ...inputs, dy: toTensor(dy) });
      expect(dO).toBeCloseRms(wanted.gradients['o']!, 1e-4);
      expect(dWeights).toBeCloseRms(wanted.gradients['weights']!, 1e-4);
      expect(portableMix.gather({ x: toTensor(x), source, position }).y).toBeCloseRms(
        gatherOracle(expected.source)({ x }).y,
        1e-5,
      );
      const unit = nd(weights.shape, new Float64Array(weights.data.length).fill(1));
      const sums = mixOracle(expected.position, copiesOf(shape))({ o, weights: unit }).y;
      expect(portableMix.sumCopies({ o: toTensor(o), position }).y).toBeCloseRms(sums, 1e-5);
    });
  });

  it('keeps the axes behind the first', () => {
    tidy(() => {
      const plan = makePlan(routeCases[1]!);
      expect(routeGather(zeros([18, 3, 5]), plan).shape).toEqual([36, 3, 5]);
      expect(routeMix({ o: zeros([36, 3, 5]), weights: zeros([18, 2]) }, plan).shape).toEqual([18, 3, 5]);
    });
  });

  it('a plan makes eight tensors', () => {
    const sequences = uniformSequences(2, 3);
    const choices = int32([0, 1, 2, 0, 1, 2], [6, 1]);
    const before = memory().numTensors;
    routePlan(choices, { memories: 3, sequences });
    expect(memory().numTensors).toBe(before + 8);
  });

  it('knows that no bucket row is left over where all choices are of memories and no token is padding', () => {
    const choices = int32([0, 1, 2, 0, 1, 2], [6, 1]);
    const isFull = (options: Pick<Parameters<typeof routePlan>[1], 'allRouted' | 'sequences'>) => {
      const { buckets, groups } = routePlan(choices, { memories: 3, ...options });
      expect(groups.isFull).toBe(buckets.isFull);
      return buckets.isFull;
    };
    const sequences = uniformSequences(2, 3);
    const padded = packedSequences(2, 3, [{ row: 0, start: 0, length: 3 }]);
    expect(isFull({ allRouted: true, sequences })).toBe(true);
    expect(isFull({ sequences })).toBe(false);
    expect(isFull({ allRouted: true, sequences: padded })).toBe(false);
  });

  it('plans and mixes no tokens', async () => {
    const plan = routePlan(int32([], [0, 2]), { memories: 3, sequences: uniformSequences(2, 0) });
    expect(Array.from(plan.buckets.lengths.dataSync())).toEqual(Array(6).fill(0));
    const empty = { o: nd([0, 4]), weights: nd([0, 2]) };
    const { outputs } = await runOp(empty, (t) => ({ y: routeMix(t as never, plan) }), { y: nd([0, 4]) });
    expect(outputs['y']!.shape).toEqual([0, 4]);
  });

  it('says what is wrong with its arguments', () => {
    const sequences = uniformSequences(2, 3);
    expect(() => routePlan(int32([0, 1], [2, 1]), { memories: 3, sequences })).toThrow(
      /routePlan\(choices\): expected shape \[6, K\]/,
    );
    expect(() => routePlan(tensor(Array(6).fill(0), [6, 1]), { memories: 3, sequences })).toThrow(
      /expected int32, found float32/,
    );
    expect(() => routePlan(int32(Array(12).fill(0), [6, 2]), { memories: 1, sequences })).toThrow(
      /2 choices of 1 memories/,
    );
    const plan = makePlan(routeCases[1]!);
    expect(() => routeMix({ o: zeros([35, 3]), weights: zeros([18, 2]) }, plan)).toThrow(
      /routeMix\(o\): expected shape \[36, 3\], found \[35, 3\]/,
    );
    expect(() => routeGather(zeros([17, 3]), plan)).toThrow(/routeGather\(x\)/);
  });
});
