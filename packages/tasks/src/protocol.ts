// How a published benchmark trains and judges, as plain data.
import type { TaskSpec } from './task-types.ts';

export interface Protocol {
  /** The paper, and the figure or the sweep. */
  readonly source: string;
  /** Data sizes are part of it: `examples` of each segment, or of the task. */
  readonly task: TaskSpec;
  readonly model: {
    readonly layers: number;
    /** Widths d of the paper's models. */
    readonly widths: readonly number[];
    /** What stands between the mixers. */
    readonly mlp: 'none' | 'swiglu';
    /** What is in the first layer's place, where all models have the same. */
    readonly firstLayer?: 'short convolution';
    readonly tieEmbeddings: boolean;
    readonly embeddingDropout: number;
  };
  readonly training: {
    readonly optimizer: 'adamw';
    /** Sequences of a step. */
    readonly batch: number;
    readonly epochs: number;
    /** Each is tried. */
    readonly learningRates: readonly number[];
    /** Each is tried, with each learning rate. */
    readonly weightDecays: readonly number[];
    /** Cosine decay to 0, lowered at the end of each epoch, or no decay. */
    readonly schedule: 'cosine of epochs' | 'constant';
    readonly warmupSteps: number;
    /** `null`: gradients are not clipped. */
    readonly clipNorm: number | null;
    /** Batches come in the order of the data, the same in every epoch, or in another one each time. */
    readonly order: 'as it is' | 'shuffled';
    /** Training ends once the test accuracy is above this. */
    readonly stopAt: number;
  };
  readonly evaluation: {
    readonly batch: number;
    /** Mean over the labels of a sequence, then over sequences; or over the classes ({@link macroAccuracy}). */
    readonly accuracy: 'mean over sequences' | 'mean over classes';
    /** Which of the runs counts. */
    readonly report: 'best of the grid';
  };
}
