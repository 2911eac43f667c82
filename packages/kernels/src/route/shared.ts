// A memory that every token goes to, as one more choice.
import {
  checkShapes,
  concat,
  defineOp,
  fill,
  slice,
  stopGradient,
  type Tensor,
  type Tensor2D,
} from '@mnemix/tensor';
import { gpuKernel } from '../gpu/bridge.ts';
import { rowLayout } from './row-layout.ts';
import sharedWgsl from './shared.wgsl';

type Choices = { choices: Tensor; weights: Tensor };

const sharedOp = defineOp<Choices, Choices, { memory: number }>({
  name: 'RouteShared',
  outputs: ['choices', 'weights'],
  integers: ['choices'],
  portable: ({ choices, weights }, { memory }) => {
    const column: [number, number] = [choices.shape[0] as number, 1];
    return {
      choices: concat([choices as Tensor2D, fill(column, memory, 'int32')], 1),
      weights: concat([weights as Tensor2D, fill(column, 1)], 1),
    };
  },
  kernels: gpuKernel(({ shapes, attrs: { memory } }) => {
    const [rows = 0, chosen = 0] = shapes.choices;
    const shape = [rows, chosen + 1];
    return {
      // The op has inputs of the names `choices` and `weights`.
      outputs: { allChoices: { shape, dtype: 'int32' }, allWeights: { shape } },
      dispatches: [
        {
          kernel: {
            name: 'RouteShared',
            wgsl: sharedWgsl,
            bindings: ['read', 'read', 'write', 'write'],
          },
          buffers: ['choices', 'weights', 'allChoices', 'allWeights'],
          ...rowLayout(rows, chosen, memory),
        },
      ],
    };
  }),
  gradient: ({ inputs: { weights }, grads }) => ({
    weights: slice(grads.weights, [0, 0], weights.shape as [number, number]),
  }),
});

/**
 * The choices of each token and, behind them, one more that is the same for all, with weight 1: a memory that every token goes to is to
 * a {@link routePlan} one more memory.
 *
 * @param inputs.choices int32 [R, K]
 * @param inputs.weights [R, K]
 * @param memory the number of the memory that all choose
 * @returns both as [R, K + 1]
 * @throws MnemixError `shape`
 */
export function withShared({ choices, weights }: Choices, memory: number): Choices {
  checkShapes('withShared', { choices: [choices, ['R', 'K']], weights: [weights, choices.shape] });
  // The choices come from what has a gradient, but have none themselves.
  return sharedOp({ choices: stopGradient(choices), weights }, { memory });
}
