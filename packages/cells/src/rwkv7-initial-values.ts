// What RWKV-7's vectors start from, by channel and layer: the authors' values, as fla has them.
import { initialMix } from '@mnemix/layers';
import type { LayerPosition } from './layer-position.ts';

export interface Rwkv7InitialValues {
  /** μ of each projection, [d]. */
  readonly mixes: { readonly [stream in 'r' | 'w' | 'k' | 'v' | 'a' | 'g']: Float32Array };
  /** k_k, [H·dk] */
  readonly erase: Float32Array;
  /** Biases of the low-rank maps, [H·dk], [H·dk] and [H·dv]. */
  readonly decay: Float32Array;
  readonly learningRate: Float32Array;
  readonly value: Float32Array;
  /** Every weight of the GroupNorm. */
  readonly norm: number;
}

export function initialValues(
  { width, headWidth, layer, layers }: LayerPosition & { width: number; headWidth: number },
  { keySize, valueSize }: { keySize: number; valueSize: number },
): Rwkv7InitialValues {
  const [progress, remaining] = [layer / Math.max(layers - 1, 1), 1 - layer / layers];
  const mix = (power: number): Float32Array => initialMix(width, power * remaining);
  return {
    mixes: { r: mix(0.2), w: mix(0.9), k: mix(0.7), v: mix(0.7), a: mix(0.9), g: mix(0.2) },
    erase: channels(keySize, headWidth, ({ along }) => 0.71 - 0.1 * (along - 0.5)),
    decay: channels(
      keySize,
      headWidth,
      ({ along, bend }) => -5.5 + 6 * along ** (1 + progress ** 0.3) + 2.5 * bend,
    ),
    learningRate: channels(keySize, headWidth, ({ along, bend }) => -0.19 + 0.3 * bend + 0.4 * (along - 0.5)),
    value: channels(valueSize, headWidth, ({ along }) => 0.73 - 0.4 * (along - 0.5)),
    norm: ((layer + 1) / layers) ** 0.7,
  };
}

interface Place {
  /** From 0 for the first of all channels to 1 for the last. */
  readonly along: number;
  /** From −1 to 1 within a head, quadratic on both sides of its middle. */
  readonly bend: number;
}

function channels(count: number, headWidth: number, value: (place: Place) => number): Float32Array {
  const half = (headWidth - 1) / 2;
  return Float32Array.from({ length: count }, (_, i) => {
    const offset = half === 0 ? 0 : ((i % headWidth) - half) / half;
    return value({ along: i / Math.max(count - 1, 1), bend: offset * Math.abs(offset) });
  });
}
