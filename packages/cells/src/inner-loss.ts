// What memories that learn by gradient descent have in common, TTT and Titans: heads are square, because a
// value is compared with its key; and their inner loss sees what they answer through a layer norm, as does
// the reader.
import { layerNorm, type Sequences } from '@mnemix/kernels';
import {
  add,
  cast,
  checkConfig,
  greaterEqual,
  mul,
  ones,
  reshape,
  zeros,
  type Tensor2D,
  type Tensor3D,
} from '@mnemix/tensor';
import { headSizes } from './options.ts';

export interface InnerNormParams {
  /** w [H, D] */
  readonly weight: Tensor2D;
  /** b [H, D] */
  readonly bias: Tensor2D;
  readonly [name: string]: Tensor2D;
}

/** ε of the norm, as in the inner loss. */
const EPS = 1e-6;

/**
 * Width D of a head.
 *
 * @throws MnemixError `config` where keys and values are not of one width, which the heads divide
 */
export function squareHeads(cell: string, config: Parameters<typeof headSizes>[1]): number {
  const { keySize, valueSize } = headSizes(cell, config);
  const { heads } = config;
  checkConfig(
    keySize === valueSize,
    `${cell}(expandV)`,
    `values are ${valueSize / heads} wide in a head and keys ${keySize / heads}, ` +
      'but the memory learns to answer a key with what its value adds to it.',
    'Make expandV equal to expandK.',
  );
  return keySize / heads;
}

export const initInnerNorm = (heads: number, width: number): InnerNormParams => ({
  weight: ones([heads, width]) as Tensor2D,
  bias: zeros([heads, width]) as Tensor2D,
});

/**
 * o + w ⊙ LN(o) + b, fla's reading of both memories; 0 in rows of no sequence.
 *
 * @param o [N,H,D] of a scan along `sequences`
 * @param weight w [H,D]
 * @param bias b [H,D]
 */
export function throughInnerNorm(
  o: Tensor3D,
  { weight, bias }: { readonly weight: Tensor2D; readonly bias: Tensor2D },
  { rowSequence, rows, isFull }: Sequences,
): Tensor3D {
  const read = add(o, layerNorm({ x: o, weight, bias }, { eps: EPS })) as Tensor3D;
  return isFull ? read : mul(read, reshape(cast(greaterEqual(rowSequence, 0), 'float32'), [rows, 1, 1]));
}
