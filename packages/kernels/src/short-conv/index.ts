// Depthwise causal convolution with a short window, along sequences.
import { checkConfig, checkShapes, currentBackend, type Tensor } from '@mnemix/tensor';
import type { Sequences } from '../sequences.ts';
import { named, nameOf } from './named.ts';
import { forwardOp, partsOp } from './op.ts';

export interface ShortConvInputs {
  readonly x: Tensor;
  readonly weight: Tensor;
  readonly bias?: Tensor | undefined;
  readonly initialState?: Tensor | undefined;
}

export type ShortConvOutputs = { y: Tensor; state: Tensor };

export interface ShortConvOptions {
  /** Where the sequences lie in the rows of `x`. */
  readonly sequences: Sequences;
  /** Applied to the sum. Default `silu`. */
  readonly activation?: 'silu' | 'none';
}

/**
 * y_t = act(bias + Σ_w weight[w]·x_{t−W+1+w}) for each channel, within a sequence: the last tap is the
 * current token.
 *
 * What lies before a sequence comes from its state: the last W raw inputs, oldest first; zeros if there is
 * none. The state after the sequence continues it, so that splitting a sequence changes nothing. An empty
 * sequence keeps its state; rows of no sequence give 0.
 *
 * @param inputs.x [N, D]
 * @param inputs.weight [D, 1, W], as in PyTorch's and fla's checkpoints
 * @param inputs.bias [D]
 * @param inputs.initialState [S, D, W], S sequences
 * @returns y [N, D] and state [S, D, W]
 * @throws MnemixError `shape`; `config` for a window of width 0
 */
export function shortConv(
  inputs: ShortConvInputs,
  { sequences, activation = 'silu' }: ShortConvOptions,
): ShortConvOutputs {
  return shortConvs([{ ...inputs, activation }], { sequences })[0] as ShortConvOutputs;
}

/**
 * Several convolutions along the same sequences, each as {@link shortConv} does it. On WebGPU they are one pass, forward and
 * backward, as far as a dispatch can bind their tensors; windows of different widths, and biases or states that only some have, go
 * one by one.
 */
export function shortConvs(
  parts: readonly (ShortConvInputs & Pick<ShortConvOptions, 'activation'>)[],
  { sequences }: Pick<ShortConvOptions, 'sequences'>,
): ShortConvOutputs[] {
  for (const { x, weight, bias, initialState } of parts) {
    const { W = 0 } = checkShapes('shortConv', {
      x: [x, [sequences.rows, 'D']],
      weight: [weight, ['D', 1, 'W']],
      bias: [bias, ['D']],
      initialState: [initialState, [sequences.count, 'D', 'W']],
    });
    checkConfig(
      W > 0,
      'shortConv(weight)',
      'the window has width 0.',
      'Use a width of at least 1; 4 is usual.',
    );
  }
  const { starts, lengths, rowSequence } = sequences;
  const places = { starts, lengths, rowSequence };
  if (currentBackend() !== 'webgpu') {
    return parts.map(({ x, weight, bias, initialState, activation = 'silu' }) =>
      forwardOp({ x, weight, bias, initialState, ...places }, { activation }),
    );
  }
  const kinds = parts.map(({ weight, bias, initialState }) => `${weight.shape[2]} ${!bias} ${!initialState}`);
  if (new Set(kinds).size > 1) return parts.flatMap((part) => shortConvs([part], { sequences }));
  const made = partsOp(parts.length)(
    { ...named(parts.map(({ activation: _, ...tensors }) => tensors)), ...places },
    { activations: parts.map(({ activation = 'silu' }) => activation) },
  );
  return parts.map(
    (_, i) => ({ y: made[nameOf('y', i)], state: made[nameOf('state', i)] }) as ShortConvOutputs,
  );
}
