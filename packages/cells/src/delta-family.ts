// What Gated DeltaNet's descendants have in common: value heads in groups that share a key head, and streams that
// are activated with or without short convolutions.
import { checkConfig, checkCount, silu, type Tensor2D } from '@mnemix/tensor';
import { convolutions, type Convolutions } from './convolutions.ts';
import { ratioSize } from './options.ts';

export interface GroupedSizes {
  /** dv of a head. */
  readonly valueWidth: number;
  /** H·dk. */
  readonly keySize: number;
  /** Hv·dv. */
  readonly valueSize: number;
  /** Value heads for each key head, Hv/H. */
  readonly group: number;
}

/**
 * Widths of all heads' keys and values.
 *
 * @param cell the function that received the options, for the error
 * @throws MnemixError `config` where the ratio gives no whole number, or key heads cannot be shared evenly
 */
export function groupedSizes(
  cell: string,
  config: {
    readonly heads: number;
    readonly headWidth: number;
    readonly expandV: number;
    readonly valueHeads: number;
  },
): GroupedSizes {
  const { heads, headWidth, expandV, valueHeads } = config;
  checkCount(`${cell}(valueHeads)`, valueHeads);
  checkConfig(
    valueHeads % heads === 0,
    `${cell}(valueHeads)`,
    `${valueHeads} value heads cannot share ${heads} key heads evenly.`,
    'Make valueHeads a multiple of heads.',
  );
  const valueWidth = ratioSize(`${cell}(expandV)`, headWidth, expandV);
  return {
    valueWidth,
    keySize: heads * headWidth,
    valueSize: valueHeads * valueWidth,
    group: valueHeads / heads,
  };
}

/** As `convolutions`; without any, silu alone is applied to every stream. */
export function siluConvolutions<Name extends string>(
  cell: string,
  taps: number,
  channels: { readonly [stream in Name]: number },
): Convolutions<Name> {
  const short = convolutions(cell, taps, channels);
  if (taps > 0) return short;
  return {
    ...short,
    apply: (_, __, streams) => {
      const activated = Object.entries<Tensor2D>(streams).map(([name, x]) => [name, silu(x)]);
      return { values: Object.fromEntries(activated) as typeof streams };
    },
  };
}
