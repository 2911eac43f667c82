// A fading memory that returns what it is given: tests then know y.
import type { Mixer } from '@mnemix/layers';
import { add, reshape, slice, zeros, type Tensor1D, type Tensor3D } from '@mnemix/tensor';

interface Given {
  /** [B, all tokens, d] */
  readonly y: Tensor3D;
  readonly [name: string]: Tensor3D;
}

interface Seen {
  readonly tokens: Tensor1D;
  readonly [name: string]: Tensor1D;
}

export const givenOutputs = (width: number, tokens: number, batch = 1): Mixer<Given, Seen> => ({
  name: 'given',
  config: {},
  width,
  init: (rng) => ({ y: rng.fold('y').normal([batch, tokens, width]) as Tensor3D }),
  initialState: (sequences) => ({ tokens: zeros([sequences]) as Tensor1D }),
  forward: ({ y }, x, { state } = {}) => {
    const first = state?.tokens.dataSync()[0] ?? 0;
    const before = state?.tokens ?? (zeros([x.shape[0]]) as Tensor1D);
    return {
      y: slice(y, [0, first, 0], x.shape) as Tensor3D,
      state: { tokens: add(before, x.shape[1]) as Tensor1D },
      aux: {},
    };
  },
  step({ y }, x, state) {
    const result = this.forward({ y }, reshape(x, [x.shape[0], 1, width]) as Tensor3D, { state });
    return { y: reshape(result.y, x.shape), state: result.state } as never;
  },
  stateBytes: (sequences) => 4 * sequences,
  activatedParameters: () => 0,
});
