// How badly each vector is predicted by those before it: what B'MOJO judges tokens by.
import { checkConfig, checkShapes, defineOp, type Tensor } from '@mnemix/tensor';
import type { Sequences } from '../sequences.ts';
import * as gpu from './gpu.ts';
import * as host from './host.ts';
import * as portable from './portable.ts';

export type { InnovationError } from './portable.ts';

const errors: readonly portable.InnovationError[] = ['l2', 'l1', 'relL2'];

const innovationOp = defineOp<portable.Inputs, { e: Tensor }, portable.Attrs>({
  name: 'Innovation',
  outputs: ['e'],
  integers: ['starts', 'rowSequence'],
  portable: portable.forward,
  kernels: { ...host.forward, ...gpu.forward },
});

export interface InnovationOptions {
  /** Where the sequences lie in the rows of `y`. */
  readonly sequences: Sequences;
  /** α_1 … α_k > 0, of the newest predecessor first; only their ratios count. */
  readonly taps: readonly number[];
  /** Default `l2`: ‖y − ŷ‖². `l1`: Σ|y − ŷ|. `relL2`: ‖y − ŷ‖² / (‖y‖² + ‖ŷ‖² + 1e-6). */
  readonly error?: portable.InnovationError;
}

/**
 * The innovation of each vector (Zancato et al. 2024, "B'MOJO", Algorithm 1): ε_t = error(y_t, ŷ_t), ŷ_t a fixed
 * weighted average of the vectors before it in the sequence,
 *
 * ŷ_t = Σ_{i ≤ n} α_i y_{t−i} / Σ_{i ≤ n} α_i, n = min(t, k), and ŷ_0 = 0.
 *
 * Here t counts the tokens of `position` too: with `before`, splitting a sequence changes nothing. Without it,
 * sequences begin with these rows, whatever `position` says. Rows of no sequence give 0. A constant to gradients.
 *
 * @param inputs.y [N, d]
 * @param inputs.before [S, h, d], h ≥ k: the last h vectors of each of S sequences before these rows, the newest last
 * @param inputs.position float32 [S]: the tokens each sequence has seen before; slots of `before` older than the
 *   first of them do not count, whatever they hold
 * @returns [N]
 * @throws MnemixError `shape`; `config` for taps that are not positive, an unknown error, and `before` without
 *   `position` or with h < k
 */
export function innovation(
  { y, before, position }: { y: Tensor; before?: Tensor | undefined; position?: Tensor | undefined },
  { sequences, taps, error = 'l2' }: InnovationOptions,
): Tensor {
  const { h = 0 } = checkShapes('innovation', {
    y: [y, [sequences.rows, 'd']],
    before: [before, [sequences.count, 'h', 'd']],
    position: [position, [sequences.count]],
  });
  checkConfig(
    taps.length > 0 && taps.every((tap) => Number.isFinite(tap) && tap > 0),
    'innovation(taps)',
    `they are [${taps.join(', ')}].`,
    'Use one positive number or more, the weight of the newest vector first.',
  );
  checkConfig(
    errors.includes(error),
    'innovation(error)',
    `it is '${error}'.`,
    `Use one of ${errors.join(', ')}.`,
  );
  const { starts, rowSequence } = sequences;
  if (before === undefined) {
    return innovationOp({ y, before, position: undefined, starts, rowSequence }, { taps, error }).e;
  }
  checkConfig(
    h >= taps.length,
    'innovation(before)',
    `it holds ${h} vectors of each sequence, but there are ${taps.length} taps.`,
    'Keep at least as many vectors as there are taps.',
  );
  checkConfig(
    position !== undefined,
    'innovation(position)',
    '`before` is given, but not how many of its slots hold tokens.',
    'Pass the number of tokens that each sequence has seen.',
  );
  return innovationOp({ y, before, position, starts, rowSequence }, { taps, error }).e;
}
