// Generation with a recurrent state: the prompt in one pass, then a token at a time at constant cost.
import {
  AsyncScope,
  checkConfig,
  MnemixError,
  Rng,
  tensor1d,
  tensor2d,
  tidy,
  type Tensor,
} from '@mnemix/tensor';
import type { LanguageModel, LmParams, LmState } from './model.ts';
import { sampleToken, type SamplingOptions } from './sampling.ts';

export interface GenerateOptions extends SamplingOptions {
  /** Default 64. */
  readonly maxTokens?: number;
  /** Stop after this token; it is yielded too. */
  readonly endToken?: number;
  /** Source of the draws. Default `Rng.of(0)`. */
  readonly rng?: Rng;
  /** Continue from this state instead of from an empty memory; it stays valid. */
  readonly state?: LmState;
}

/** @throws MnemixError `value` naming the first id outside of 0 … vocabSize−1 */
export function checkTokenIds(ids: ArrayLike<number>, vocabSize: number, where: string): void {
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i] as number;
    if (Number.isInteger(id) && id >= 0 && id < vocabSize) continue;
    throw new MnemixError({
      code: 'value',
      where: `${where}[${i}]`,
      message: `token id ${id} is outside of the vocabulary of ${vocabSize}.`,
      fix: `Use ids from 0 to ${vocabSize - 1}; is this the tokenizer that the model was trained with?`,
    });
  }
}

/**
 * Yields the tokens that follow `prompt`.
 *
 * @throws MnemixError `value` for an empty prompt or an id outside of the vocabulary
 */
export async function* generate(
  model: LanguageModel,
  params: LmParams,
  prompt: readonly number[],
  options: GenerateOptions = {},
): AsyncGenerator<number, void, void> {
  const { maxTokens = 64, endToken, rng = Rng.of(0), state: before, ...sampling } = options;
  const { vocabSize } = model.config;
  checkConfig(
    prompt.length > 0,
    'generate(prompt)',
    'it is empty.',
    'Pass at least one token, e.g. the begin token.',
  );
  checkTokenIds(prompt, vocabSize, 'generate(prompt)');

  const scope = new AsyncScope();
  try {
    // Only logits and state outlive a turn; the ids end with the tidy.
    const turn = (run: () => { logits: Tensor; state: LmState }) =>
      scope.run(() => tidy(() => run() as never) as { logits: Tensor; state: LmState });
    let { logits, state } = turn(() => {
      const ids = tensor2d([[...prompt]], [1, prompt.length], 'int32');
      const after = model.forward(params, ids, { state: before });
      return { logits: after.logits, state: after.state };
    });
    for (let count = 0; count < maxTokens; count++) {
      // The prompt's logits come for all of its tokens; the last ones matter.
      const scores = (await logits.data()).slice(-vocabSize);
      const token = sampleToken(scores, rng.fold(count), sampling);
      yield token;
      if (token === endToken) return;
      const previous = { logits, state };
      ({ logits, state } = turn(() => model.step(params, tensor1d([token], 'int32'), previous.state)));
      scope.free({ logits: previous.logits, ...previous.state });
    }
  } finally {
    scope.dispose();
  }
}
