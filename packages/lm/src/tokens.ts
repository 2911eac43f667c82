// Token ids: checked where they are made, since a device that cannot be read back cannot check them.
import {
  checkDtype,
  defineOp,
  hostKernel,
  MnemixError,
  reshape,
  tensor2d,
  type Tensor,
  type Tensor2D,
} from '@mnemix/tensor';

/** The target of a token without a label. */
export const NO_LABEL = -100;

export interface TokenOptions {
  /** An id outside of the vocabulary that is allowed, e.g. {@link NO_LABEL} among targets. */
  readonly besides?: number | undefined;
}

/** @throws MnemixError `value` naming the first id outside of 0 … vocabSize−1 */
export function checkTokenIds(
  ids: ArrayLike<number>,
  vocabSize: number,
  where: string,
  { besides }: TokenOptions = {},
): void {
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i] as number;
    if ((Number.isInteger(id) && id >= 0 && id < vocabSize) || id === besides) continue;
    const label = besides === undefined ? '' : `, or ${besides} for none`;
    throw new MnemixError({
      code: 'value',
      where: `${where}[${i}]`,
      message: `token id ${id} is outside of the vocabulary of ${vocabSize}.`,
      fix: `Use ids from 0 to ${vocabSize - 1}${label}; is this the tokenizer that the model was trained with?`,
    });
  }
}

/**
 * Checked ids as an int32 tensor [B,T], for `forward` and `loss`: the way to make them where the backend is WebGPU,
 * which cannot check ids that are already there.
 *
 * @param ids B·T ids, row by row
 * @param where what the ids are, for errors
 * @throws MnemixError `value` naming the first id outside of the vocabulary, `shape` for another number of ids
 */
export function tokenTensor(
  ids: ArrayLike<number>,
  [batch, tokens]: readonly [batch: number, tokens: number],
  vocabSize: number,
  where: string,
  options: TokenOptions = {},
): Tensor2D {
  if (ids.length !== batch * tokens) {
    throw new MnemixError({
      code: 'shape',
      where,
      message: `expected ${batch}·${tokens} ids, found ${ids.length}.`,
      fix: 'Pass one id for each token of each row.',
    });
  }
  checkTokenIds(ids, vocabSize, where, options);
  return tensor2d(Int32Array.from(ids), [batch, tokens], 'int32');
}

type Attrs = { readonly vocabSize: number; readonly where: string; readonly besides: number | undefined };

/** The ids themselves. Host backends look at them on the way; WebGPU passes them on. */
const tokenIdsOp = defineOp<{ ids: Tensor }, { checked: Tensor }, Attrs>({
  name: 'TokenIds',
  outputs: ['checked'],
  integers: ['ids'],
  portable: ({ ids }) => ({ checked: reshape(ids, ids.shape) }),
  kernels: hostKernel({
    outputs: ({ ids }) => [{ shape: ids.shape, dtype: 'int32' }],
    run: ({ ids }, [checked], { vocabSize, where, besides }) => {
      checkTokenIds(ids.data, vocabSize, where, { besides });
      (checked as typeof ids).data.set(ids.data);
    },
  }),
});

/**
 * `ids`, int32 of any shape, checked where the backend's data lie in host memory.
 *
 * @throws MnemixError `shape` for another dtype; on host backends `value` as {@link checkTokenIds}
 */
export function checkedIds<T extends Tensor>(
  ids: T,
  vocabSize: number,
  where: string,
  { besides }: TokenOptions = {},
): T {
  checkDtype(where, ids, 'int32');
  return tokenIdsOp({ ids }, { vocabSize, where, besides }).checked as T;
}
