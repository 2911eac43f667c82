// Generation with a recurrent state: the prompt in one pass, then a token at a time at constant cost.
import {
  AsyncScope,
  checkConfig,
  checkCount,
  leaves,
  Rng,
  slice,
  tensor1d,
  tidy,
  type Tensor,
  type TensorTree,
} from '@mnemix/tensor';
import type { LanguageModel, LmParams, LmState } from './model.ts';
import { sampleToken, type SamplingOptions } from './sampling.ts';
import { tokenTensor } from './tokens.ts';

export interface GenerateOptions extends SamplingOptions {
  /** Default 64. */
  readonly maxTokens?: number;
  /** Stop after this token; it is yielded too. */
  readonly endToken?: number;
  /** Source of the draws. Default `Rng.of(0)`. */
  readonly rng?: Rng;
  /** Continue from this state instead of from an empty memory; it stays valid. */
  readonly state?: LmState;
  /**
   * Sees the state after the prompt and after each token, and returns the one to go on with: the place to keep it, or to refresh the
   * archives of B'MOJO layers. What it keeps it must clone.
   */
  readonly onState?: (state: LmState) => LmState;
}

/**
 * Yields the tokens that follow `prompt`.
 *
 * @throws MnemixError `config` for an empty prompt or an option out of range; `value` for an id outside of the
 * vocabulary, or logits that are not numbers; `state` for the state of another model
 */
export async function* generate(
  model: LanguageModel,
  params: LmParams,
  prompt: readonly number[],
  options: GenerateOptions = {},
): AsyncGenerator<number, void, void> {
  const { maxTokens = 64, endToken, rng = Rng.of(0), state: before, onState, ...sampling } = options;
  const { vocabSize } = model.config;
  checkConfig(
    prompt.length > 0,
    'generate(prompt)',
    'it is empty.',
    'Pass at least one token, e.g. the begin token.',
  );
  checkCount('generate(maxTokens)', maxTokens, 0);

  const scope = new AsyncScope();
  try {
    // Only logits and state outlive a turn; the ids end with the tidy.
    const turn = (run: () => { logits: Tensor; state: LmState }) =>
      scope.run(() => {
        const { logits, state } = tidy(() => run() as never) as { logits: Tensor; state: LmState };
        return { logits, state: shown(state) };
      });
    const shown = (state: LmState): LmState => {
      const next = onState?.(state) ?? state;
      freeOthers(state, next);
      return next;
    };
    /** Frees what `next` does not share with `old`. */
    const freeOthers = (old: TensorTree, next: TensorTree): void => {
      const kept = new Set(leaves(next));
      for (const leaf of leaves(old)) if (!kept.has(leaf)) scope.free(leaf);
    };
    let { logits, state } = turn(() => {
      const ids = tokenTensor(prompt, [1, prompt.length], vocabSize, 'generate(prompt)');
      const after = model.forward(params, ids, { state: before });
      // Logits come for all of the prompt; the last ones matter.
      const last = slice(after.logits, [0, prompt.length - 1, 0], [1, 1, vocabSize]);
      return { logits: last, state: after.state };
    });
    for (let count = 0; count < maxTokens; count++) {
      const token = sampleToken(await logits.data(), rng.fold(count), sampling);
      yield token;
      if (token === endToken) return;
      const previous = { logits, state };
      ({ logits, state } = turn(() => model.step(params, tensor1d([token], 'int32'), previous.state)));
      freeOthers(previous, { logits, state });
    }
  } finally {
    scope.dispose();
  }
}
