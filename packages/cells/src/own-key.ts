// How a memory is asked for what it holds under a token's own key: for memories that read with what they write with.
import type { Tensor3D } from '@mnemix/tensor';

/** The `selfRecall` of a cell whose queries, keys and values are those of its inputs, head by head. */
export const askOwnKey = <I extends { readonly k: Tensor3D; readonly v: Tensor3D }>({
  k,
  v,
}: I): { readonly asked: { readonly q: Tensor3D }; readonly expected: Tensor3D } => ({
  asked: { q: k },
  expected: v,
});
