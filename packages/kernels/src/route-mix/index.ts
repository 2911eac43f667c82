// Mixture-of-Memories: tokens to their bucket rows, and back as a weighted sum.
import { checkShapes, defineOp, reshape, sizeOf, type Tensor } from '@mnemix/tensor';
import { byCount } from '../by-count.ts';
import type { RoutePlan } from '../route-plan/index.ts';
import * as gpu from './gpu.ts';
import * as portable from './portable.ts';
import * as wasm from './wasm.ts';

/** Of one tensor, for backends where launches cost nothing. */
const sumOp = defineOp<portable.SumInputs, { y: Tensor }, object>({
  name: 'RouteSum',
  outputs: ['y'],
  integers: ['position'],
  portable: portable.sumCopies,
  kernels: wasm.sumCopies,
});

const gatherOp = defineOp<portable.GatherInputs, { y: Tensor }, object>({
  name: 'RouteGather',
  outputs: ['y'],
  integers: ['source', 'position'],
  portable: portable.gather,
  kernels: wasm.gather,
});

type Several = Record<string, Tensor>;
type PlanTensors = { source: Tensor; position: Tensor };

const namesOf = (letter: 'x' | 'y', count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${letter}${i}`);
const named = (letter: 'x' | 'y', tensors: readonly Tensor[]): Several =>
  Object.fromEntries(tensors.map((tensor, i) => [`${letter}${i}`, tensor]));

// Of tensors x0, x1, … → y0, y1, …
const sumsOp = byCount((count) =>
  defineOp<Several, Several, object>({
    name: `RouteSums${count}`,
    outputs: namesOf('y', count),
    integers: ['position'],
    portable: ({ position, ...given }) =>
      named(
        'y',
        Object.values(given).map((o) => sumOp({ o, position: position as Tensor }, {}).y),
      ),
    kernels: gpu.sums,
  }),
);

const gathersOp = byCount((count) =>
  defineOp<Several, Several, object>({
    name: `RouteGathers${count}`,
    outputs: namesOf('y', count),
    integers: ['source', 'position'],
    portable: ({ source, position, ...given }) =>
      named(
        'y',
        Object.values(given).map((x) => gatherOp({ x, ...({ source, position } as PlanTensors) }, {}).y),
      ),
    kernels: gpu.gathers,
    gradient: ({ inputs, grads }) => {
      const dys = namesOf('y', count).map((name) => grads[name] as Tensor);
      const made = sumsOp(count)({ ...named('x', dys), position: inputs['position'] as Tensor }, {});
      return named(
        'x',
        namesOf('y', count).map((name) => made[name] as Tensor),
      );
    },
  }),
);

const mixBackwardOp = defineOp<portable.MixBackwardInputs, portable.MixGradients, object>({
  name: 'RouteMixBackward',
  outputs: ['dO', 'dWeights'],
  integers: ['source', 'position'],
  portable: portable.mixBackward,
  kernels: { ...wasm.mixBackward, ...gpu.mixBackward },
});

const mixOp = defineOp<portable.MixInputs, { y: Tensor }, object>({
  name: 'RouteMix',
  outputs: ['y'],
  integers: ['source', 'position'],
  portable: portable.mix,
  kernels: { ...wasm.mix, ...gpu.mix },
  gradient: ({ inputs, grads }) => {
    const { dO, dWeights } = mixBackwardOp({ ...inputs, dy: grads.y }, {});
    return { o: dO, weights: dWeights };
  },
});

/**
 * The copies of the tokens in their buckets: y[u] = x[source[u]], zeros in rows that are left over.
 * Gradient: dx[r] = Σ_j dy[position[r, j]], a gather too.
 *
 * @param x [R, …]
 * @returns [R·K, …]
 * @throws MnemixError `shape`
 */
export const routeGather = (x: Tensor, plan: RoutePlan): Tensor => routeGathers([x], plan)[0] as Tensor;

/**
 * {@link routeGather} of several tensors, such as the tokens and what they were mapped to: one launch for all, forward and backward.
 *
 * @throws MnemixError `shape`
 */
export function routeGathers(xs: readonly Tensor[], { source, position }: RoutePlan): Tensor[] {
  const rows = position.shape[0] as number;
  const rests = xs.map(({ shape }) => shape.slice(1));
  checkShapes(
    'routeGather',
    Object.fromEntries(
      xs.map((x, i) => [xs.length === 1 ? 'x' : `x${i}`, [x, [rows, ...(rests[i] as number[])]]]),
    ),
  );
  const flat = xs.map((x, i) => reshape(x, [rows, sizeOf(rests[i] as number[])]));
  const made = gathersOp(xs.length)({ ...named('x', flat), source, position }, {});
  return rests.map((rest, i) => reshape(made[`y${i}`] as Tensor, [source.size, ...rest]));
}

/**
 * Mixes what the memories read for each token: y[r] = Σ_j weights[r, j]·o[position[r, j]], the shared memory's with weight 1.
 * Padding gives 0.
 *
 * Gradients, for the copy u of row r by choice j: do[u] = weights[r, j]·dy[r], d weights[r, j] = ⟨dy[r], o[u]⟩.
 *
 * @param inputs.o [R·K, …] in bucket order
 * @param inputs.weights [R, K]
 * @returns [R, …]
 * @throws MnemixError `shape`
 */
export function routeMix(
  { o, weights }: { o: Tensor; weights: Tensor },
  { source, position, chosen }: RoutePlan,
): Tensor {
  const [copies = 0, ...rest] = o.shape;
  checkShapes('routeMix', {
    o: [o, [source.size, ...rest]],
    weights: [weights, [position.shape[0] as number, chosen]],
  });
  const { y } = mixOp({ o: reshape(o, [copies, sizeOf(rest)]), weights, source, position }, {});
  return reshape(y, [position.shape[0] as number, ...rest]);
}
