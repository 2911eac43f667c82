// Explicit, splittable random numbers: the same numbers on every backend, because they are made on the host.
// Block i of a key is a pure function of (key, i), so nothing is ever mutated.
import { tensor, type Tensor } from '@tensorflow/tfjs-core';
import { sizeOf } from './shape.ts';
import { threefry } from './threefry.ts';

/** 32-bit FNV-1a, for labels. */
function hashLabel(label: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < label.length; i++) hash = Math.imul(hash ^ label.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/**
 * An immutable random key. Equal keys give equal numbers; use {@link Rng.fold} to derive independent ones.
 *
 * ```ts
 * const rng = Rng.of(42);
 * const weights = rng.fold('weights').normal([64, 64], 0, 0.02);
 * ```
 */
export class Rng {
  private constructor(
    private readonly k0: number,
    private readonly k1: number,
  ) {}

  /** A key from a seed: any safe integer. */
  static of(seed: number): Rng {
    return new Rng(seed | 0, Math.floor(seed / 2 ** 32) | 0);
  }

  /** The key written by {@link toJSON}. */
  static fromJSON([k0, k1]: readonly [number, number]): Rng {
    return new Rng(k0 | 0, k1 | 0);
  }

  toJSON(): [number, number] {
    return [this.k0, this.k1];
  }

  /** A new key, independent of this one and of every other label's. */
  fold(label: string | number): Rng {
    const isName = typeof label === 'string';
    const [k0, k1] = threefry(
      this.k0,
      this.k1,
      isName ? hashLabel(label) : label | 0,
      isName ? 0x6e616d65 : 0x696e6478,
    );
    return new Rng(k0 | 0, k1 | 0);
  }

  /** `count` uniform 32-bit words. */
  bits(count: number): Uint32Array {
    const words = new Uint32Array(count);
    for (let i = 0; i < count; i += 2) {
      const [a, b] = threefry(this.k0, this.k1, i >>> 1, 0);
      words[i] = a;
      if (i + 1 < count) words[i + 1] = b;
    }
    return words;
  }

  /** `count` numbers, uniform in [low, high), with 32 random bits each. */
  uniformArray(count: number, low = 0, high = 1): Float64Array {
    return fill(new Float64Array(count), this.bits(count), (word) => low + (word / 2 ** 32) * (high - low));
  }

  /** `count` integers, uniform in [low, high). */
  integers(count: number, low: number, high: number): Int32Array {
    const integerOf = (word: number) => low + Math.floor((word / 2 ** 32) * (high - low));
    return fill(new Int32Array(count), this.bits(count), integerOf);
  }

  /** `count` normal numbers (Box–Muller). */
  normalArray(count: number, mean = 0, deviation = 1): Float64Array {
    const words = this.bits(count + (count % 2));
    const out = new Float64Array(count);
    for (let i = 0; i < count; i += 2) {
      const radius = Math.sqrt(-2 * Math.log(((words[i] as number) + 1) / 2 ** 32));
      const angle = (2 * Math.PI * (words[i + 1] as number)) / 2 ** 32;
      out[i] = mean + deviation * radius * Math.cos(angle);
      if (i + 1 < count) out[i + 1] = mean + deviation * radius * Math.sin(angle);
    }
    return out;
  }

  /** A random order of 0 … count−1 (Fisher–Yates). */
  permutation(count: number): Int32Array {
    const order = Int32Array.from({ length: count }, (_, i) => i);
    const words = this.bits(count);
    for (let i = count - 1; i > 0; i--) {
      const j = Math.floor(((words[i] as number) / 2 ** 32) * (i + 1));
      [order[i], order[j]] = [order[j] as number, order[i] as number];
    }
    return order;
  }

  /** A float32 tensor, uniform in [low, high), with 24 random bits each. */
  uniform(shape: number[], low = 0, high = 1): Tensor {
    // Rounded to float32, what is just below `high` may reach it.
    const most = high > low ? floatBelow(high) : high;
    const size = sizeOf(shape);
    const valueOf = (word: number) => Math.min(low + ((word >>> 8) / 2 ** 24) * (high - low), most);
    return tensor(fill(new Float32Array(size), this.bits(size), valueOf), shape, 'float32');
  }

  /** A float32 tensor of normal numbers. */
  normal(shape: number[], mean = 0, deviation = 1): Tensor {
    return tensor(new Float32Array(this.normalArray(sizeOf(shape), mean, deviation)), shape, 'float32');
  }
}

/** As `from` of typed arrays, which goes by an iterator and takes ten times as long: models have many millions of values. */
function fill<Values extends Float32Array | Float64Array | Int32Array>(
  values: Values,
  words: Uint32Array,
  valueOf: (word: number) => number,
): Values {
  for (let i = 0; i < values.length; i++) values[i] = valueOf(words[i] as number);
  return values;
}

/** The largest float32 below x. */
function floatBelow(x: number): number {
  const nearest = Float32Array.of(x);
  if ((nearest[0] as number) < x) return nearest[0] as number;
  if (nearest[0] === 0) return -(2 ** -149);
  // The bits of floats of one sign are in the order of their sizes.
  const bits = new Int32Array(nearest.buffer);
  bits[0] = (bits[0] as number) + (x > 0 ? -1 : 1);
  return nearest[0] as number;
}
