// Norms of the leaves of a tree, and finding the leaf that is not finite.
import { globalNorms } from '@mnemix/kernels';
import { entries, leaves, MnemixError, tidy, type Tensor1D, type TensorTree } from '@mnemix/tensor';

/**
 * Throws if a leaf holds NaN or ±∞ (or, as norms go, entries of 1e19 and more), naming each such leaf. Reads the norms
 * back from the device, so ask only when the loss or the gradient norm has come out not finite.
 *
 * ```ts
 * await checkFinite(updated.params, { where: 'gradient', norms: updated.leafNorms }); // of the gradients that `update` consumed
 * await checkFinite(params, { where: 'parameters' });
 * ```
 *
 * @param tree gives the names; and the norms, unless they are passed
 * @param options.where what the tree holds, e.g. `gradient`
 * @param options.norms of the leaves, as `update` returns them; not disposed
 * @throws MnemixError `diverged`; `detail.leaves` has all the paths
 */
export async function checkFinite(
  tree: TensorTree,
  { where, norms }: { where: string; norms?: Tensor1D },
): Promise<void> {
  const tensor = norms ?? tidy(() => globalNorms(leaves(tree)).norms);
  const values = await tensor.data();
  if (!norms) tensor.dispose();
  const bad = Array.from(entries(tree), ([path]) => path).filter((_, i) => !Number.isFinite(values[i]));
  const [first, ...others] = bad;
  if (first === undefined) return;
  throw new MnemixError({
    code: 'diverged',
    where: `${where}: ${first}`,
    message:
      others.length === 0 ? 'this is not finite.' : `this is not finite, nor are ${others.length} more.`,
    fix: 'Go back to an earlier checkpoint with a smaller learning rate, longer warm-up or a lower clipNorm.',
    detail: { leaves: bad },
  });
}
