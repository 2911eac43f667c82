// Times of a mixer beside those of another one, in turns: on a noisy machine only what was measured together can be compared.
import type { Mixer } from '@mnemix/layers';
import {
  disposeTree,
  mul,
  Rng,
  sum,
  tidy,
  valueAndGrad,
  type ParamTree,
  type Scalar,
  type Tensor2D,
  type Tensor3D,
} from '@mnemix/tensor';
import { spread, type Spread } from './statistics.ts';

export interface Timing {
  readonly milliseconds: Spread;
  /** Over the reference in the same round. */
  readonly ratio: Spread;
}

/** A mixer, ready to be measured. */
export interface TimedMixer {
  /** Forward and backward over the batch. */
  train(): void;
  /** Forward over the batch. */
  prefill(): void;
  /** One more token for each sequence, behind the batch. */
  step(): void;
  dispose(): void;
}

export function timedMixer(
  mixer: Mixer,
  { batch, tokens }: { readonly batch: number; readonly tokens: number },
): TimedMixer {
  const params = mixer.init(Rng.of(1));
  const x = Rng.of(2).normal([batch, tokens, mixer.width]) as Tensor3D;
  const token = Rng.of(3).normal([batch, mixer.width]) as Tensor2D;
  const dy = Rng.of(4).normal([batch, tokens, mixer.width]);
  const { state } = tidy(() => ({ state: mixer.forward(params, x).state }) as never) as {
    state: ReturnType<Mixer['initialState']>;
  };
  return {
    train: () =>
      tidy(() => {
        valueAndGrad((tree: { x: Tensor3D; params: ParamTree }) => ({
          value: sum(mul(mixer.forward(tree.params, tree.x).y, dy)) as Scalar,
        }))({ x, params });
      }),
    prefill: () =>
      tidy(() => {
        mixer.forward(params, x);
      }),
    step: () =>
      tidy(() => {
        mixer.step(params, token, state);
      }),
    dispose: () => disposeTree({ params, x, token, dy, state }),
  };
}

/** Times of `f` and of `reference` in turns, after one round to warm up. */
export function inTurns(f: () => void, reference: () => void, rounds: number): Timing {
  const times: number[] = [];
  const ratios: number[] = [];
  for (let round = -1; round < rounds; round++) {
    const [own, other] = [milliseconds(f), milliseconds(reference)];
    if (round < 0) continue;
    times.push(own);
    ratios.push(own / other);
  }
  return { milliseconds: spread(times), ratio: spread(ratios) };
}

function milliseconds(f: () => void): number {
  const start = performance.now();
  f();
  return performance.now() - start;
}
