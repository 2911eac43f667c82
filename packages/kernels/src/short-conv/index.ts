// Depthwise causal convolution with a short window, along sequences.
import { checkConfig, checkShapes, defineOp, type Tensor } from '@mnemix/tensor';
import { sequenceTensors } from '../portable/chunk-layout.ts';
import type { Sequences } from '../sequences.ts';
import * as gpu from './gpu.ts';
import * as portable from './portable.ts';
import * as wasm from './wasm.ts';

const backwardOp = defineOp<portable.BackwardInputs, portable.Gradients, portable.Attrs>({
  name: 'ShortConvBackward',
  outputs: ['dx', 'dWeight', 'dBias', 'dInitialState'],
  integers: sequenceTensors,
  portable: portable.backward,
  kernels: { ...wasm.backward, ...gpu.backward },
});

const forwardOp = defineOp<portable.Inputs, portable.Outputs, portable.Attrs>({
  name: 'ShortConv',
  outputs: ['y', 'state'],
  integers: sequenceTensors,
  portable: portable.forward,
  kernels: { ...wasm.forward, ...gpu.forward },
  gradient: ({ inputs, grads, attrs }) => {
    const { dx, dWeight, dBias, dInitialState } = backwardOp(
      { ...inputs, dy: grads.y, dState: grads.state },
      attrs,
    );
    return { x: dx, weight: dWeight, bias: dBias, initialState: dInitialState };
  },
});

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
  { x, weight, bias, initialState }: { x: Tensor; weight: Tensor; bias?: Tensor; initialState?: Tensor },
  { sequences, activation = 'silu' }: ShortConvOptions,
): { y: Tensor; state: Tensor } {
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
  const { starts, lengths, rowSequence } = sequences;
  return forwardOp({ x, weight, bias, initialState, starts, lengths, rowSequence }, { activation });
}
