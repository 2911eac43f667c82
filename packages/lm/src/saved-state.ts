// What a model remembers of streams, as bytes: they go on later, or in another process, as if nothing had been between.
import { disposeTree, flatten, mapTree, MnemixError, type Tensor } from '@mnemix/tensor';
import { toDevice, toHost } from './checkpoint.ts';
import type { LanguageModel, LmState } from './model.ts';
import { decodeSafetensors, encodeSafetensors, type HostTensor } from './safetensors.ts';

/** The state as a safetensors file; its tensors stay the caller's. */
export const writeState = async (state: LmState): Promise<Uint8Array<ArrayBuffer>> =>
  encodeSafetensors({ tensors: await toHost(state), metadata: { format: 'mnemix-state' } });

/**
 * The state of a file that {@link writeState} made.
 *
 * @param where the file's name, for errors
 * @throws MnemixError `checkpoint` for a damaged file, `state` for that of another model. Sizes are checked by the model's next pass.
 */
export function readState(bytes: Uint8Array, model: LanguageModel, where: string): LmState {
  const { tensors } = decodeSafetensors(bytes, where);
  const like = model.initialState(1);
  try {
    const expected = flatten(like);
    const missing = Object.keys(expected).filter((path) => !Object.hasOwn(tensors, path));
    const unknown = Object.keys(tensors).filter((path) => !Object.hasOwn(expected, path));
    if (missing.length + unknown.length > 0) {
      const told = Object.entries({ missing, unknown }).filter(([, paths]) => paths.length > 0);
      throw new MnemixError({
        code: 'state',
        where,
        message: `it is not a state of this model: ${told.map(([kind, [first, ...more]]) => `${first}${more.length > 0 ? ` and ${more.length} more` : ''} ${kind}`).join('; ')}.`,
        fix: 'Read it with the model whose state was saved.',
        detail: { missing, unknown },
      });
    }
    return mapTree(like, (_: Tensor, path) => toDevice(tensors[path] as HostTensor)) as LmState;
  } finally {
    disposeTree(like);
  }
}
