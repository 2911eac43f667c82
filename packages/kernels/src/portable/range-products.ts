// Products of factors over ranges of a chunk's tokens, for decays that may be 0 exactly: neither the products
// nor their gradients divide, or take a logarithm.
import {
  add,
  cast,
  concat,
  defineOp,
  lessEqual,
  matMul,
  mul,
  oneHot,
  ones,
  range,
  reshape,
  slice,
  sub,
  sum,
  tile,
  type Tensor,
} from '@mnemix/tensor';

/**
 * Of the factors a of P chunks, how much is left at token t of what was there behind token i − 1, for every
 * i:
 *
 *     product[t, i] = Π_{s = i … t} a_s        (1 for i = t + 1, 0 beyond)
 *
 * so that column 0 belongs to what entered the chunk, and column j + 1 to what token j wrote.
 *
 * Gradient: with e_0 for product[−1], da_s = Σ_t product[t, s + 1] · (Σ_i dProduct[t, i] product[s − 1, i]).
 *
 * @param factors [P, C, 1]
 * @returns [P, C, C + 1]
 */
export const rangeProducts = (factors: Tensor): Tensor => op({ factors }, {}).products;

const op = defineOp<{ factors: Tensor }, { products: Tensor }, object>({
  name: 'RangeProducts',
  outputs: ['products'],
  savedOutputs: ['products'],
  portable: ({ factors }) => {
    const [count, size] = factors.shape as [number, number, number];
    // Running products down the rows of a matrix with a_t where t ≥ i, else 1.
    const included = upTo(size, 0);
    let products = add(mul(factors, included), sub(1, included));
    for (let step = 1; step < size; step *= 2) {
      const earlier = slice(products, [0, 0, 0], [count, size - step, size + 1]);
      const none = ones([count, step, size + 1]);
      products = mul(products, concat([none, earlier], 1));
    }
    return { products: mul(products, upTo(size, 1)) };
  },
  gradient: ({ outputs: { products }, grads }) => {
    const [count, size] = products.shape as [number, number, number];
    const first = tile(reshape(oneHot(range(0, 1, 1, 'int32'), size + 1), [1, 1, size + 1]), [count, 1, 1]);
    const before = concat([first, slice(products, [0, 0, 0], [count, size - 1, size + 1])], 1);
    const behind = slice(products, [0, 0, 1], [count, size, size]);
    const reached = sum(mul(behind, matMul(grads.products, before, false, true)), 1);
    return { factors: reshape(reached, [count, size, 1]) };
  },
});

/** 1 where i ≤ t + offset: [t, i], C × (C + 1). */
const upTo = (size: number, offset: number): Tensor =>
  cast(
    lessEqual(reshape(range(0, size + 1), [1, size + 1]), reshape(range(offset, size + offset), [size, 1])),
    'float32',
  );
