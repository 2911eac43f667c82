// Published results on multi-query associative recall, to be drawn beside ours.
import type { MqarSegment } from '@mnemix/tasks';

export interface PublishedLine {
  /** As the authors call it. */
  readonly model: string;
  /** The family of ours that it can be compared with. */
  readonly family?: string;
  /** Bytes of state (float32, all layers, 1,024 tokens) and accuracy, a point for each size. */
  readonly points: readonly (readonly [stateBytes: number, accuracy: number])[];
}

/** What these models are judged on: the mean over the seven counts alike. */
export const recallMemoryTests: readonly MqarSegment[] = [
  { tokens: 64, pairs: 4 },
  { tokens: 64, pairs: 8 },
  { tokens: 64, pairs: 16 },
  { tokens: 128, pairs: 32 },
  { tokens: 256, pairs: 64 },
  { tokens: 512, pairs: 128 },
  { tokens: 1024, pairs: 256 },
];

export const recallMemoryVocabulary = 8192;

/**
 * The recall-memory sweep of HazyResearch's Zoology (Arora et al. 2024, "Simple linear attention language models balance the
 * recall-throughput tradeoff"), read off the repository's figure by the colours of its points: ±0.005 in accuracy, ±1 % in size.
 */
export const recallMemorySweep: readonly PublishedLine[] = [
  {
    model: 'sliding window',
    family: 'window',
    points: [
      [9_700, 0.082],
      [17_800, 0.146],
      [34_000, 0.311],
      [67_000, 0.515],
      [132_000, 0.656],
      [263_000, 0.797],
      [524_000, 0.936],
      [1_050_000, 1],
    ],
  },
  { model: 'attention', family: 'attention', points: [[510_000, 1]] },
  {
    model: 'Based',
    family: 'based',
    points: [
      [9_300, 0.667],
      [12_400, 0.719],
      [24_600, 0.84],
      [30_000, 0.836],
      [40_000, 0.913],
      [64_000, 0.856],
      [79_000, 0.987],
      [85_000, 0.97],
      [146_000, 0.966],
      [169_000, 0.991],
      [290_000, 0.996],
      [580_000, 1],
    ],
  },
  {
    model: 'Mamba',
    points: [
      [24_000, 0.697],
      [49_000, 0.758],
      [98_000, 0.85],
    ],
  },
  {
    model: 'Mamba-2',
    family: 'mamba2',
    points: [
      [8_000, 0.52],
      [16_000, 0.69],
      [24_000, 0.728],
      [33_000, 0.785],
      [49_000, 0.797],
      [65_000, 0.832],
      [98_000, 0.844],
    ],
  },
  {
    model: 'GLA',
    family: 'gla',
    points: [
      [4_800, 0.532],
      [17_800, 0.771],
      [68_000, 0.95],
    ],
  },
  {
    model: 'DeltaNet',
    family: 'delta_net',
    points: [
      [8_900, 0.793],
      [34_000, 0.963],
      [134_000, 0.995],
    ],
  },
  {
    model: 'Gated DeltaNet',
    family: 'gated_delta_net',
    points: [
      [17_000, 0.89],
      [67_000, 0.988],
      [260_000, 0.993],
    ],
  },
  {
    model: 'RWKV-7 (sizes disputed)',
    family: 'rwkv7',
    points: [
      [17_000, 0.816],
      [132_000, 0.915],
      [1_040_000, 0.98],
    ],
  },
  {
    model: 'H3',
    points: [
      [8_000, 0.19],
      [33_000, 0.25],
      [130_000, 0.25],
      [520_000, 0.13],
      [1_050_000, 0.23],
      [2_100_000, 0.28],
    ],
  },
  {
    model: 'Hyena',
    points: [
      [520_000, 0.185],
      [1_050_000, 0.305],
      [2_100_000, 0.41],
    ],
  },
];
