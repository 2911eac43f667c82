// The published protocols of MQAR and its variants (the Zoology repository), as data.
import { checkConfig } from '@mnemix/tensor';
import type { Protocol } from './protocol.ts';
import type { RecallSegment } from './recall.ts';
import type { TaskSpec } from './task-types.ts';

type Sizes = readonly [tokens: number, pairs: number];

const VOCABULARY = 8192;

/** From 10^from to 10^to. */
const logSpaced = (from: number, to: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => 10 ** (from + ((to - from) * i) / (count - 1)));

/** Easy to hard: the first segment is most of the data, and comes first in every epoch. */
const trainingSegments = (sizes: readonly Sizes[]): RecallSegment[] =>
  sizes.map(([tokens, pairs], i) => ({ tokens, pairs, examples: i === 0 ? 100_000 : 20_000 }));

const testSegments = (sizes: readonly Sizes[]): RecallSegment[] =>
  sizes.map(([tokens, pairs]) => ({ tokens, pairs, examples: 1000 }));

const common = { optimizer: 'adamw', warmupSteps: 0, clipNorm: null, order: 'as it is' } as const;

function recallMemory(source: string, task: TaskSpec): Protocol {
  return {
    source,
    task,
    model: {
      layers: 2,
      widths: [64, 128, 256],
      mlp: 'none',
      firstLayer: 'short convolution',
      tieEmbeddings: true,
      embeddingDropout: 0.1,
    },
    training: {
      ...common,
      batch: 256,
      epochs: 32,
      learningRates: logSpaced(-3, -1.5, 4),
      weightDecays: [0.1],
      schedule: 'cosine of epochs',
      stopAt: 0.99,
    },
    evaluation: { batch: 32, accuracy: 'mean over sequences', report: 'best of the grid' },
  };
}

const squareTraining: readonly Sizes[] = [
  [64, 4],
  [128, 9],
  [256, 16],
  [256, 25],
  [256, 36],
];
const squareTests: readonly Sizes[] = [
  [64, 4],
  [64, 9],
  [128, 16],
  [256, 36],
  [512, 64],
  [1024, 144],
  [2048, 256],
];

export const mqarProtocols = {
  /**
   * Figure 2 of the Zoology paper: one model for each length and number of pairs, blank fill. Published settings are
   * (64, 4), (128, 8), (256, 16) and (512, 64).
   *
   * @throws MnemixError `config` for a length that is none of these: the batch goes by it
   */
  zoology({ tokens, pairs }: Pick<RecallSegment, 'tokens' | 'pairs'>): Protocol {
    const batches: Readonly<Record<number, number>> = { 64: 512, 128: 512, 256: 256, 512: 128 };
    const batch = batches[tokens];
    checkConfig(
      batch !== undefined,
      'mqarProtocols.zoology(tokens)',
      `there is no published setting of ${tokens} tokens.`,
      `Use one of ${Object.keys(batches).join(', ')}.`,
    );
    return {
      source: 'Arora et al. 2023, Zoology, figure 2',
      task: {
        type: 'mqar',
        vocabSize: VOCABULARY,
        fill: 'blank',
        segments: [{ tokens, pairs, examples: 100_000 }],
        testSegments: [{ tokens, pairs, examples: 3000 }],
      },
      model: {
        layers: 2,
        widths: [64, 128, 256, 512],
        mlp: 'none',
        tieEmbeddings: true,
        embeddingDropout: 0.1,
      },
      training: {
        ...common,
        batch,
        epochs: 64,
        learningRates: logSpaced(-4, -2, 4),
        weightDecays: [0.1],
        schedule: 'cosine of epochs',
        stopAt: 0.99,
      },
      evaluation: { batch, accuracy: 'mean over sequences', report: 'best of the grid' },
    };
  },

  /**
   * The Recall-Memory sweep of the Based paper and of the Zoology repository: one model for a curriculum of five
   * segments, tested on seven, of which two are longer than any in training. Widths are those of the delta-rule and
   * gated models; attention has 32, 64 and 128, Based 48, 64 and 128, the sliding window 128.
   */
  based(): Protocol {
    return recallMemory('Arora et al. 2024, Based; the Recall-Memory sweep of Zoology', {
      type: 'mqar',
      vocabSize: VOCABULARY,
      fill: 'random',
      segments: trainingSegments([
        [64, 4],
        [128, 8],
        [256, 16],
        [256, 32],
        [256, 64],
      ]),
      testSegments: testSegments([
        [64, 4],
        [64, 8],
        [64, 16],
        [128, 32],
        [256, 64],
        [512, 128],
        [1024, 256],
      ]),
    });
  },

  /** The sweep of the Zoology repository over MQAR whose pairs change: four updates in every sequence. */
  forgetting(): Protocol {
    const updated = (segments: RecallSegment[]) => segments.map((segment) => ({ ...segment, updates: 4 }));
    return recallMemory('the forgetting sweep of Zoology, 2025', {
      type: 'forgetting_mqar',
      vocabSize: VOCABULARY,
      fill: 'random',
      segments: updated(trainingSegments(squareTraining)),
      testSegments: updated(testSegments(squareTests)),
    });
  },

  /** The sweep of the Zoology repository over MQAR whose keys are two tokens. */
  compositional(): Protocol {
    return recallMemory('the compositional sweep of Zoology, 2025', {
      type: 'compositional_mqar',
      vocabSize: VOCABULARY,
      fill: 'random',
      segments: trainingSegments(squareTraining),
      testSegments: testSegments(squareTests),
    });
  },
} as const;
