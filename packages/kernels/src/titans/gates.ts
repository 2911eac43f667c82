// What the gates of Titans come to over a chunk. Where token t writes X_t,
//
//     Z_t = η_t Z_{t−1} + θ_t X_t        M_t = (1 − α_t) M_{t−1} + Z_t
//
// are linear in the M and Z that enter the chunk and in its writes. Let β(i, t) and m(i, t) be the products
// of 1 − α and of η from token i through token t (range-products.ts). Then Z_t has m(j + 1, t) θ_j of X_j and
// m(0, t) of the entering Z; M_t has Σ_{i≤t} β(i + 1, t) times what Z_i has of them, and β(0, t) of the
// entering M. Nothing is divided, so that gates may be 0 or 1.
import { add, concat, matMul, mul, ones, reshape, slice, split, sub, type Tensor } from '@mnemix/tensor';
import { rangeProducts } from '../portable/range-products.ts';

/**
 * Gates of P chunks of C slots, all [P, C, 1]. In slots without a token `real` is 0 instead of 1, and so are
 * all gates.
 */
export interface TitansGates {
  readonly alpha: Tensor;
  readonly theta: Tensor;
  /** None: no momentum. */
  readonly eta: Tensor | undefined;
  readonly real: Tensor;
}

/** The state has one block, M, or two, M and Z. */
export interface TitansWeights {
  /** Of each block that enters the chunk in the M that a token reads: [P, C, 1] each. */
  readonly ofState: readonly Tensor[];
  /** Of token j's write in the M that token i reads: [P, C, C], lower triangular. */
  readonly ofWrites: Tensor;
  /** Of token j's write in each block that leaves the chunk: [P, C, 1] each. */
  readonly intoState: readonly Tensor[];
  /** Of the blocks that enter in those that leave: of M in M, and then of Z in M and in Z, [P, 1, 1 or 3]. */
  readonly transition: Tensor;
}

export function titansWeights({ alpha, theta, eta, real }: TitansGates): TitansWeights {
  const [count, size] = alpha.shape as [number, number, number];
  const asRow = (x: Tensor) => reshape(x, [count, 1, size]);
  const last = (x: Tensor) => slice(x, [0, size - 1, 0], [count, 1, x.shape[2] as number]);
  const entering = (x: Tensor) => slice(x, [0, 0, 0], [count, x.shape[1] as number, 1]);
  const written = (x: Tensor) => slice(x, [0, 0, 1], [count, x.shape[1] as number, size]);
  const asColumn = (x: Tensor) => reshape(x, [count, size, 1]);

  const kept = sub(1, alpha);
  if (!eta) {
    const products = rangeProducts(kept);
    const ofWrites = mul(written(products), asRow(theta));
    const ofState = entering(products);
    return {
      ofState: [ofState],
      ofWrites,
      intoState: [asColumn(last(ofWrites))],
      transition: last(ofState),
    };
  }
  const both = rangeProducts(concat([kept, add(eta, sub(1, real))], 0));
  const [memoryProducts, momentumProducts] = split(both, 2, 0) as [Tensor, Tensor];
  const momentum = mul(momentumProducts, concat([ones([count, 1, 1]), asRow(theta)], 2));
  const memory = matMul(mul(written(memoryProducts), asRow(real)), momentum);
  const ofMemory = entering(memoryProducts);
  const ofMomentum = entering(memory);
  return {
    ofState: [ofMemory, ofMomentum],
    ofWrites: written(memory),
    intoState: [asColumn(written(last(memory))), asColumn(written(last(momentum)))],
    transition: concat([last(ofMemory), last(ofMomentum), entering(last(momentum))], 2),
  };
}
