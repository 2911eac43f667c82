// Arithmetic of a training step, by formula: what a model must compute, whatever code computes it. A multiply-add is two
// operations; the backward pass of a product is two more products.
import type { CellConfig, LmConfig, MixerConfig } from '@mnemix/lm';

/** Forward operations of one token in a memory: projections in and out, and the memory's own update and read. */
interface MemoryFlops {
  /** Projections that all memories share, once a token: query, gate, output. */
  readonly common: number;
  /** A memory's own projections, and the memory. */
  readonly perMemory: number;
}

function gatedDeltaNet(config: Extract<CellConfig, { type: 'gated_delta_net' }>, width: number): MemoryFlops {
  const { heads, headWidth, expandV = 2, convolution = 4 } = config;
  const [keys, values] = [heads * headWidth, heads * headWidth * expandV];
  return {
    common: 2 * width * (keys + 2 * values),
    perMemory:
      2 * width * (keys + values + 2 * heads) +
      2 * convolution * (2 * keys + values) +
      7 * heads * headWidth ** 2 * expandV,
  };
}

function mixerFlops(mixer: MixerConfig, width: number): number {
  const cell = mixer.type === 'mom' ? mixer.cell : mixer;
  if (cell.type !== 'gated_delta_net') throw new Error(`no formula for ${cell.type}`);
  const { common, perMemory } = gatedDeltaNet(cell, width);
  if (mixer.type !== 'mom') return common + perMemory;
  const { memories = 4, topK = 2, shared = true } = mixer;
  return common + 2 * width * memories + (topK + (shared ? 1 : 0)) * perMemory;
}

/** Operations of forward and backward for one token of a model whose blocks all have the same Gated DeltaNet mixer. */
export function trainingFlops({ width, layers, mixer, mlp, vocabSize }: LmConfig): number {
  const block = mixerFlops(mixer as MixerConfig, width) + (mlp ? 6 * width * mlp.hidden : 0);
  return 3 * (layers * block + 2 * width * vocabSize);
}
