// What a decay lets go, 1 − e^g, where the memory writes as much as it forgets.
import { add, defineOp, exp, greater, maximum, mul, neg, sub, where, type Tensor } from '@mnemix/tensor';

/** From here on, six terms of −Σ gⁿ/n! are exact to float32; below, the difference loses two bits at most. */
const SERIES_FROM = -0.25;

/** −g(1 + g/2(1 + g/3(1 + g/4(1 + g/5(1 + g/6))))) for SERIES_FROM ≤ g ≤ 0. */
function series(g: Tensor): Tensor {
  let sum: Tensor = add(mul(g, 1 / 6), 1);
  for (const n of [5, 4, 3, 2]) sum = add(mul(mul(g, 1 / n), sum), 1);
  return neg(mul(g, sum));
}

const op = defineOp<{ g: Tensor }, { y: Tensor }, object>({
  name: 'OneMinusExp',
  outputs: ['y'],
  portable: ({ g }) => ({
    y: where(greater(g, SERIES_FROM), series(maximum(g, SERIES_FROM)), sub(1, exp(g))),
  }),
  gradient: ({ inputs: { g }, grads }) => ({ g: neg(mul(grads.y, exp(g))) }),
});

/**
 * 1 − e^g of a log decay g ≤ 0, to the digits of float32 also where the decay is nearly 1: there the plain
 * difference cancels, and what a memory writes would be a multiple of 6e-8. Gradient: −e^g.
 */
export const oneMinusExp = <T extends Tensor>(g: T): T => op({ g }, {}).y as T;
